package cluster

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// glance reads many objects as the watches know them. What it answers is the watches' own, and no copy: nobody may change
// anything of it. It is for one goroutine and for one pass, for it looks each kind up once.
type glance struct {
	watches *Watches
	kinds   map[kind]schema.GroupVersionKind // the zero value for those that the cluster does not know
}

func (w *Watches) glance() glance {
	return glance{watches: w, kinds: map[kind]schema.GroupVersionKind{}}
}

// at is an object, or nil where it is not there.
func (g glance) at(ctx context.Context, id manifests.ID) (client.Object, error) {
	gvk, known := g.kinds[id.GroupKind()]
	if !known {
		var err error
		if gvk, err = g.watches.versionOf(id); err != nil {
			return nil, err
		}
		g.kinds[id.GroupKind()] = gvk
	}
	return g.watches.read(ctx, gvk, id, client.UnsafeDisableDeepCopy)
}
