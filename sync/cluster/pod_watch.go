package cluster

import (
	"context"
	gosync "sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/belay-gitops/belay/manifests"
)

// podWatches watch the pods, ReplicaSets and Warning events of the namespaces in which a release is being judged, and of
// no other, for as long as that takes. Where that is more than manyNamespaces, one watch of the whole cluster stands for
// one in each of them, until no more than fewNamespaces are left.
type podWatches struct {
	config *rest.Config
	mapper meta.RESTMapper
	notify func(types.NamespacedName)
	// owner is the Sync that an object belongs to; the zero name where that is not known.
	owner func(context.Context, manifests.ID) types.NamespacedName

	opened chan *podStore // to be filled; a store outlives the pass that opens it

	mu         gosync.Mutex
	attended   map[string]*attention                    // by namespace
	namespaces map[types.NamespacedName]map[string]bool // that each Sync attends; nobody changes them
	narrow     map[string]*podStore                     // by the one namespace of each
	wide       *podStore                                // of all namespaces; nil where there is none
}

const (
	manyNamespaces = 16
	fewNamespaces  = 8
)

// attention is what is looked at in one namespace, and for whom.
type attention struct {
	syncs  map[types.NamespacedName]bool
	memory *podMemory
}

func newPodWatches(config *rest.Config, mapper meta.RESTMapper, notify func(types.NamespacedName),
	owner func(context.Context, manifests.ID) types.NamespacedName) *podWatches {
	return &podWatches{
		config: config, mapper: mapper, notify: notify, owner: owner,
		opened: make(chan *podStore), attended: map[string]*attention{},
		namespaces: map[types.NamespacedName]map[string]bool{}, narrow: map[string]*podStore{},
	}
}

// run fills the stores that passes open, until ctx ends.
func (p *podWatches) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case store := <-p.opened:
			go p.fill(ctx, store)
		}
	}
}

// attend sees to it that a Sync attends just these namespaces, and waits for the first lists of new ones.
func (p *podWatches) attend(ctx context.Context, sync types.NamespacedName, namespaces map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, firstList)
	defer cancel()
	added, fresh := p.rearrange(sync, namespaces)
	if err := p.open(ctx, fresh); err != nil {
		return podsUnseen(err)
	}
	for namespace := range namespaces {
		store, err := p.await(ctx, namespace)
		if err != nil {
			return podsUnseen(err)
		}
		if added[namespace] && store.namespace == "" {
			p.catchUp(ctx, store, namespace) // what it saw before anybody attended was not noted
		}
	}
	return nil
}

func podsUnseen(err error) error {
	return &Error{Reason: "WatchFailed", Detail: "watching pods: " + err.Error(), Temporary: true}
}

// rearrange notes which namespaces a Sync attends. It answers those that nobody attended before, and the stores to open.
func (p *podWatches) rearrange(sync types.NamespacedName, namespaces map[string]bool) (added map[string]bool, fresh []*podStore) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.namespaces[sync] {
		if namespaces[name] {
			continue
		}
		a := p.attended[name]
		if delete(a.syncs, sync); len(a.syncs) == 0 {
			delete(p.attended, name)
			p.closeNarrow(name)
		}
	}
	added = map[string]bool{}
	for name := range namespaces {
		a := p.attended[name]
		if a == nil {
			a = &attention{syncs: map[types.NamespacedName]bool{}, memory: newPodMemory()}
			p.attended[name], added[name] = a, true
		}
		a.syncs[sync] = true
	}
	if p.namespaces[sync] = namespaces; len(namespaces) == 0 {
		delete(p.namespaces, sync)
	}
	return added, p.arrange()
}

// closeNarrow closes the store that is of one namespace alone, if there is one. It is called with the lock held.
func (p *podWatches) closeNarrow(namespace string) {
	p.narrow[namespace].close()
	delete(p.narrow, namespace)
}

// arrange decides which stores there are to be, closes those that are not needed any more, and answers those to open.
// A store is closed only when what replaces it has its first lists. It is called with the lock held.
func (p *podWatches) arrange() (fresh []*podStore) {
	many := len(p.attended) > manyNamespaces || p.wide != nil && len(p.attended) > fewNamespaces
	switch {
	case many && p.wide == nil:
		p.wide = newPodStore("")
		return []*podStore{p.wide}
	case many && p.wide.serves():
		for name := range p.narrow {
			p.closeNarrow(name)
		}
		return nil
	case many:
		return nil
	}
	all := true
	for name := range p.attended {
		if p.narrow[name] == nil {
			p.narrow[name] = newPodStore(name)
			fresh = append(fresh, p.narrow[name])
		}
		all = all && p.narrow[name].serves()
	}
	if all {
		p.wide.close()
		p.wide = nil
	}
	return fresh
}

// open hands stores over to be filled.
func (p *podWatches) open(ctx context.Context, fresh []*podStore) error {
	for i, store := range fresh {
		select {
		case p.opened <- store:
		case <-ctx.Done():
			for _, unfilled := range fresh[i:] {
				p.discard(unfilled)
			}
			return ctx.Err()
		}
	}
	return nil
}

// fill runs a store until it is closed, and sees which others are not needed once it has its first lists.
func (p *podWatches) fill(ctx context.Context, store *podStore) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-store.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	store.cache, store.err = p.start(ctx, store)
	close(store.synced)
	p.mu.Lock()
	fresh := p.arrange()
	p.mu.Unlock()
	_ = p.open(ctx, fresh) // what could not be opened, the next pass opens
	<-ctx.Done()
}

// await waits until a namespace can be read, and answers the store that has it.
func (p *podWatches) await(ctx context.Context, namespace string) (*podStore, error) {
	for {
		store := p.storeOf(namespace)
		if store == nil {
			return nil, errClosed
		}
		select {
		case <-store.synced:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if store.err == nil {
			return store, nil
		}
		if p.storeOf(namespace) == store {
			p.discard(store) // the next pass opens another
			return nil, store.err
		}
	}
}

// storeOf is the store that a namespace is read from, or will be; nil where nobody attends it.
func (p *podWatches) storeOf(namespace string) *podStore {
	p.mu.Lock()
	defer p.mu.Unlock()
	narrow := p.narrow[namespace]
	switch {
	case p.attended[namespace] == nil:
		return nil
	case narrow == nil || !narrow.serves() && p.wide.serves():
		return p.wide
	}
	return narrow
}

// discard forgets a store that is of no use.
func (p *podWatches) discard(store *podStore) {
	p.mu.Lock()
	defer p.mu.Unlock()
	store.close()
	if p.wide == store {
		p.wide = nil
	}
	if p.narrow[store.namespace] == store {
		delete(p.narrow, store.namespace)
	}
}

// attention is who looks at a namespace; nil for nobody.
func (p *podWatches) attention(namespace string) *attention {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attended[namespace]
}
