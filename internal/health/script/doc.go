// Package script judges a deployment by a Job: exit code 0 is healthy.
//
// A run belongs to one deployment, and to the script as it was written then. Its Job has a name that follows from both, so that a
// crash, or a second controller, finds the Job instead of starting another. All that has to be remembered stands on the Jobs; what
// is lost with the process is how often a Job was deleted by others, and the verdict of a Job that is gone, unless the status of
// the check still has it.
//
//	no Job ──create──▶ going ──▶ passed ──▶ Healthy      (runs: Interval goes round again after the interval)
//	                     │  └───▶ failed ──▶ Unhealthy
//	                     └─▶ interrupted (evicted, preempted, deleted) ──▶ another Job, at most 3 in a row, then Unhealthy
//
// While runs of an Interval follow each other, the verdict of the last that ended stands.
//
// # Who may do what
//
// Whoever may create HealthChecks of this class may thereby run pods in the namespace of the check, with its Secrets, and as each of
// its service accounts if spec.script.serviceAccountName or a jobTemplate says so. Grant it as you would grant the creation of Jobs.
// Nobody gets further than the namespace: what is made from an image meets the restricted Pod Security Standard and has no token
// unless a service account is named, and a jobTemplate that the baseline Pod Security Standard refuses is refused here too. The image
// is run as user 65532 whatever it says itself, since many images that are good for a script say root.
//
// The last lines of a script that failed are shown in the status of the check, to everybody who may read it: a script should not
// print what is secret.
package script
