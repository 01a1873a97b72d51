package kube

// Len returns the number of objects that are remembered.
func (m *Messages) Len() int { return len(m.paid) }
