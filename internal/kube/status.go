package kube

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldOwner is the field manager of everything that Kuberik writes.
const FieldOwner = client.FieldOwner("kuberik")

// PatchStatus writes the status of next if the object has not changed since before was read, and fails with a conflict
// otherwise. On success, next is the stored object.
func PatchStatus(ctx context.Context, c client.Client, before, next client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, next, patch, FieldOwner); err != nil {
		return fmt.Errorf("writing the status of %q: %w", client.ObjectKeyFromObject(before), err)
	}
	return nil
}
