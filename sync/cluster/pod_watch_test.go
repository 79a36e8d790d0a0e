package cluster

import (
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// attending is a watch of one namespace that is open, and holds what a reader has.
func attending(namespace string, reader client.Reader) *podWatches {
	store := newPodStore(namespace)
	store.cache = reader
	close(store.synced)
	return &podWatches{attended: map[string]*attention{
		namespace: {syncs: map[types.NamespacedName]bool{}, own: store, memory: newPodMemory()},
	}}
}
