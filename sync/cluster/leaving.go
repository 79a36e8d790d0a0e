package cluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

var serviceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}

// Leaving is the view of a Sync that is being deleted. Where its service account is gone, nobody is left whose rights
// could be asked: the agent takes away with its own what bears the Sync's labels.
func (c *Cluster) Leaving(ctx context.Context, sync types.NamespacedName, spec v1alpha1.Spec) (*Objects, error) {
	c.handover.leaves(sync)
	if name := spec.Apply.ServiceAccountName; name != "" {
		_, err := c.records.Resource(serviceAccounts).Namespace(sync.Namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			spec.Apply.ServiceAccountName = ""
		case err != nil:
			return nil, describe("ServiceAccount/"+sync.Namespace+"/"+name, "ServiceAccount", err)
		}
	}
	return c.Objects(sync, spec)
}
