// Package cli joins the verbs of the kuberik command. The verbs are in packages of their own, one file for each: see
// holds those that show, ask those that wait for an answer or ask "what if", act those that change something. A verb
// reads its flags, calls the package that does the work, and prints; it decides nothing itself.
package cli
