package kube

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldOwner is the field manager of everything that Kuberik writes.
const FieldOwner = client.FieldOwner("kuberik")

// PatchStatus stores the status of next, if nobody has written the object since before was read. On success next is the object
// as it is stored now: a write that went through proves that before was fresh.
func PatchStatus(ctx context.Context, c client.Client, before, next client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := c.Status().Patch(ctx, next, patch, FieldOwner); err != nil {
		return fmt.Errorf("writing the status of %q: %w", client.ObjectKeyFromObject(before), err)
	}
	return nil
}
