package cluster

import (
	"context"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
)

// Apply writes objects side by side. All of them are tried, whatever becomes of the others.
func (o *Objects) Apply(ctx context.Context, objects []manifests.Object) error {
	errs := make([]error, len(objects))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, object := range objects {
		group.Go(func() error {
			errs[i] = o.applyOne(ctx, object)
			return nil
		})
	}
	_ = group.Wait()
	return all(errs)
}

func (o *Objects) applyOne(ctx context.Context, object manifests.Object) error {
	mapping, err := o.mapping(object)
	if err != nil {
		return err
	}
	applied, err := o.patch(ctx, mapping, object, metav1.PatchOptions{})
	if err != nil {
		return describe(object.String(), object.ID().Kind, err)
	}
	o.cluster.watches.Wrote(object.ID(), applied.GetResourceVersion())
	return nil
}
