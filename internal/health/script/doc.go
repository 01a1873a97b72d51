// Package script evaluates a deployment with a Job: exit code 0 is healthy.
//
// A run belongs to one deployment and one version of the script. The name of its Job is derived from both, so that
// after a crash, or with a second controller, the Job is found instead of started again. The state is stored on the
// Jobs. With the process, only the number of deleted Jobs and the results of deleted Jobs are lost, unless the status
// of the check has the result.
//
//	no Job ──create──▶ running ──▶ passed ──▶ Healthy     (with runs: Interval, again after the interval)
//	                      │  └───▶ failed ──▶ Unhealthy
//	                      └─▶ interrupted (evicted, preempted, deleted) ──▶ another Job, at most 3 in a row
//
// With runs: Interval, the result of the last finished run counts while the next one runs.
//
// # Permissions
//
// Users who may create HealthChecks of this class may run pods in the namespace of the check, with its Secrets, and
// with each of its service accounts if spec.script.serviceAccountName or a jobTemplate says so. Grant it like the
// creation of Jobs. The pods do not reach beyond the namespace: a pod of an image meets the restricted Pod Security
// Standard and has no token unless a service account is named, and a jobTemplate has to meet the baseline Pod Security
// Standard. The image runs as user 65532, because many suitable images use root.
//
// The status of the check shows the last lines of a failed script to everybody who may read it, so a script should not
// print secrets.
package script
