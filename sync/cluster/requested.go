package cluster

import (
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// requested is when this process heard of what Syncs ask for, by its own clock: a look at the remote that began after it
// answers it. A pass may come long after, when a thousand Syncs are made at once.
type requested struct {
	mu   gosync.Mutex
	last map[types.NamespacedName]request
}

// request is a Sync's spec, and what its annotation asks for.
type request struct {
	uid        types.UID
	generation int64
	syncAt     string
	at         time.Time
}

func requestOf(s *v1alpha1.Sync) request {
	return request{uid: s.UID, generation: s.Generation, syncAt: s.Annotations[v1alpha1.AnnotationSyncAt]}
}

// saw notes a Sync as the watch has it.
func (r *requested) saw(s *v1alpha1.Sync, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, asks := client.ObjectKeyFromObject(s), requestOf(s)
	last := r.last[name]
	asks.at = last.at
	if asks == last {
		return
	}
	if r.last == nil {
		r.last = map[types.NamespacedName]request{}
	}
	asks.at = now
	r.last[name] = asks
}

func (r *requested) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, name)
}

// Requested is when this process heard that a Sync wants what its spec and its annotations have now; zero if it has not yet.
func (c *Cluster) Requested(s *v1alpha1.Sync) time.Time {
	c.requested.mu.Lock()
	defer c.requested.mu.Unlock()
	last := c.requested.last[client.ObjectKeyFromObject(s)]
	at := last.at
	last.at = time.Time{}
	if last != requestOf(s) {
		return time.Time{}
	}
	return at
}
