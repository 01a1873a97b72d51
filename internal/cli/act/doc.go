// Package act has the verbs that change something: approve, reject, override, deploy, pin, unpin, retry, rollback,
// quarantine, lift, suspend, resume and reconcile. A verb shows what will change, asks on a terminal, and sends what
// people could send with kubectl: it creates an Approval or an Override, or patches a Rollout. So RBAC and admission
// decide. A verb decides nothing: what will happen is read from internal/view.
package act
