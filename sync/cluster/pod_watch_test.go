package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// attending is a watch of one namespace that is open, and holds what a reader has.
func attending(namespace string, reader client.Reader) *podWatches {
	store := newPodStore(namespace)
	store.cache = reader
	close(store.synced)
	return &podWatches{
		attended: map[string]*attention{namespace: {syncs: map[types.NamespacedName]bool{}, memory: newPodMemory()}},
		narrow:   map[string]*podStore{namespace: store},
	}
}

// watchingAPI is as much of an API server as watching asks for: each watch gets what there is, and what happens since.
type watchingAPI struct {
	mu      gosync.Mutex
	version int
	objects []*unstructured.Unstructured
	open    map[chan *unstructured.Unstructured]*http.Request
	asked   int
}

func (a *watchingAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") == "" || r.URL.Query().Get("sendInitialEvents") == "" {
		a.mu.Lock()
		a.asked++
		a.mu.Unlock()
		refused(w, http.StatusNotFound)
		return
	}
	happens := make(chan *unstructured.Unstructured, 100)
	a.mu.Lock()
	a.asked++
	there, version := slices.Clone(a.objects), a.version
	a.open[happens] = r
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.open, happens)
		a.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	tell := func(kind string, object map[string]any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": object})
		w.(http.Flusher).Flush()
	}
	for _, u := range there {
		if a.fits(r, u) {
			tell("ADDED", shownTo(r, u))
		}
	}
	end := &unstructured.Unstructured{Object: map[string]any{}}
	end.SetAnnotations(map[string]string{"k8s.io/initial-events-end": "true"})
	end.SetResourceVersion(fmt.Sprint(version + 1))
	end.SetAPIVersion("v1")
	end.SetKind(map[bool]string{true: "Event", false: "Pod"}[strings.HasSuffix(r.URL.Path, "/events")])
	tell("BOOKMARK", shownTo(r, end))
	for {
		select {
		case u := <-happens:
			tell("MODIFIED", shownTo(r, u))
		case <-r.Context().Done():
			return
		}
	}
}

func shownTo(r *http.Request, u *unstructured.Unstructured) map[string]any {
	if onlyMetadata(r) {
		return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": u.Object["metadata"]}
	}
	return u.Object
}

// fits tells whether a watch is of an object's kind and namespace.
func (a *watchingAPI) fits(r *http.Request, u *unstructured.Unstructured) bool {
	resource := strings.ToLower(u.GetKind()) + "s"
	return strings.HasSuffix(r.URL.Path, "/namespaces/"+u.GetNamespace()+"/"+resource) ||
		strings.HasSuffix(r.URL.Path, "/"+resource) && !strings.Contains(r.URL.Path, "/namespaces/")
}

// happen adds or changes an object, and tells who watches.
func (a *watchingAPI) happen(t *testing.T, text string) {
	t.Helper()
	u := live(t, text)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	u.SetResourceVersion(fmt.Sprint(a.version))
	a.objects = append(slices.DeleteFunc(a.objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == u.GetKind() && o.GetNamespace() == u.GetNamespace() && o.GetName() == u.GetName()
	}), u)
	for happens, r := range a.open {
		if a.fits(r, u) {
			happens <- u
		}
	}
}

func (a *watchingAPI) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// watches is how many are open.
func (a *watchingAPI) watches() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.open)
}

// watching is podWatches on such an API server. What they call is to be read from the channel.
func watching(t *testing.T, owner func(manifests.ID) types.NamespacedName) (*podWatches, *watchingAPI, chan types.NamespacedName) {
	t.Helper()
	api := &watchingAPI{open: map[chan *unstructured.Unstructured]*http.Request{}}
	c := clusterOn(t, api)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}})
	for _, gvk := range []schema.GroupVersionKind{{Version: "v1", Kind: "Pod"}, {Version: "v1", Kind: "Event"}, replicaSetKind} {
		mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	called := make(chan types.NamespacedName, 10_000)
	p := newPodWatches(c.config, mapper, func(sync types.NamespacedName) { called <- sync },
		func(_ context.Context, id manifests.ID) types.NamespacedName { return owner(id) })
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel) // before the server is closed, which waits for its watches
	go p.run(ctx)
	return p, api, called
}

// eventually waits for a condition, for as long as a slow machine may need.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

func TestAThousandSyncsThatWaitCostNoGoroutinesAndNoRequests(t *testing.T) {
	p, api, _ := watching(t, func(manifests.ID) types.NamespacedName { return types.NamespacedName{} })
	before := runtime.NumGoroutine()
	name := func(i int) (types.NamespacedName, map[string]bool) {
		namespace := fmt.Sprintf("team-%d", i)
		return types.NamespacedName{Namespace: namespace, Name: "app"}, map[string]bool{namespace: true}
	}
	attend := func(i int) {
		t.Helper()
		sync, namespaces := name(i)
		if err := p.attend(t.Context(), sync, namespaces); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		attend(i)
	}
	eventually(t, "one watch of each kind", func() bool { return api.watches() == 3 })
	eventually(t, "bounded goroutines", func() bool { return runtime.NumGoroutine()-before < 100 })
	asked := api.requests()
	for i := range 1000 {
		attend(i) // as each of their passes does
	}
	if got := api.requests() - asked; got != 0 {
		t.Errorf("%d requests while they waited", got)
	}
	api.happen(t, `{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: team-7, uid: cart}}`)
	eventually(t, "the pod is seen in its namespace", func() bool {
		m := p.attention("team-7").memory
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.pods) == 1
	})
	for i := fewNamespaces; i < 1000; i++ {
		sync, _ := name(i)
		if err := p.attend(t.Context(), sync, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "watches of the namespaces that are left", func() bool { return api.watches() == 3*fewNamespaces })
	if m := p.attention("team-7").memory; len(m.readyFor(nil, time.Now())) != 0 || m.pods["cart"] == nil {
		t.Error("what was remembered is lost with the watch of all")
	}
	for i := range fewNamespaces {
		sync, _ := name(i)
		if err := p.attend(t.Context(), sync, nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "no watch", func() bool { return api.watches() == 0 })
}

func TestAPodCallsItsOwnSync(t *testing.T) {
	cart, till := types.NamespacedName{Namespace: "team", Name: "cart"}, types.NamespacedName{Namespace: "team", Name: "till"}
	resting := types.NamespacedName{Namespace: "team", Name: "resting"}
	p, api, called := watching(t, func(id manifests.ID) types.NamespacedName {
		return map[manifests.ID]types.NamespacedName{
			{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}:  cart,
			{Group: "apps", Kind: "StatefulSet", Namespace: "shop", Name: "till"}: till,
			{Group: "apps", Kind: "DaemonSet", Namespace: "shop", Name: "logs"}:   resting,
		}[id]
	})
	api.happen(t, `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: cart-1, namespace: shop, uid: s, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: d, controller: true}]}}`)
	for _, sync := range []types.NamespacedName{cart, till} {
		if err := p.attend(t.Context(), sync, map[string]bool{"shop": true}); err != nil {
			t.Fatal(err)
		}
	}
	pod := func(name, owner string) string {
		return `{apiVersion: v1, kind: Pod, metadata: {name: ` + name + `, namespace: shop, uid: ` + name + `, ownerReferences: [` + owner + `]}}`
	}
	about := func(kind, name, reason string) string {
		return `{apiVersion: v1, kind: Event, type: Warning, reason: ` + reason + `, message: m, metadata: {name: ` + name + `.1, namespace: shop, uid: e},
			involvedObject: {apiVersion: ` + map[bool]string{true: "v1", false: "apps/v1"}[kind == "Pod"] + `, kind: ` + kind + `, namespace: shop, name: ` + name + `, uid: ` + name + `}}`
	}
	for _, test := range []struct {
		name, text string
		want       []types.NamespacedName
	}{
		{"of a Deployment", pod("cart-1-a", "{apiVersion: apps/v1, kind: ReplicaSet, name: cart-1, uid: s, controller: true}"), []types.NamespacedName{cart}},
		{"of a StatefulSet", pod("till-0", "{apiVersion: apps/v1, kind: StatefulSet, name: till, uid: t, controller: true}"), []types.NamespacedName{till}},
		{"of a Sync that is not judged: nobody", pod("logs-a", "{apiVersion: apps/v1, kind: DaemonSet, name: logs, uid: l, controller: true}"), nil},
		{"of whom nobody knows: all", pod("alone", ""), []types.NamespacedName{cart, till}},
		{"of a ReplicaSet that is not seen yet: all", pod("new-a", "{apiVersion: apps/v1, kind: ReplicaSet, name: new, uid: new, controller: true}"), []types.NamespacedName{cart, till}},
		{"by a warning about it", about("Pod", "cart-1-a", "FailedMount"), []types.NamespacedName{cart}},
		{"by a warning about its ReplicaSet", about("ReplicaSet", "cart-1", "FailedCreate"), []types.NamespacedName{cart}},
		{"by a warning about its StatefulSet", about("StatefulSet", "till", "FailedCreate"), []types.NamespacedName{till}},
		{"not by one that says nothing new", about("Pod", "till-0", "BackOff"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			api.happen(t, test.text)
			if len(test.want) == 0 { // another one's comes after it
				api.happen(t, pod("cart-1-a", "{apiVersion: apps/v1, kind: ReplicaSet, name: cart-1, uid: s, controller: true}"))
				test.want = []types.NamespacedName{cart}
			}
			var got []types.NamespacedName
			for range test.want {
				select {
				case sync := <-called:
					got = append(got, sync)
				case <-time.After(30 * time.Second):
					t.Fatalf("called only %v", got)
				}
			}
			slices.SortFunc(got, func(a, b types.NamespacedName) int { return strings.Compare(a.Name, b.Name) })
			if !slices.Equal(got, test.want) || len(called) > 0 {
				t.Errorf("called %v and %d more", got, len(called))
			}
		})
	}
}
