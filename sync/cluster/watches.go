package cluster

import (
	"context"
	"fmt"
	gosync "sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// Watches is belay's memory of the objects that Syncs own, one watch for each kind, filtered by the owner label.
// Of kinds without a status only the metadata is kept.
type Watches struct {
	cache  cache.Cache
	mapper meta.RESTMapper
	notify func(types.NamespacedName)
	// started is closed once the cache runs.
	started chan struct{}
	opening gosync.Mutex // held while a kind begins to be watched

	mu      gosync.Mutex
	watched map[kind]watched
	// wrote is the resourceVersion of belay's own last write of each object, "" for a delete: what a watch
	// tells of it is no news.
	wrote map[manifests.ID]string
	// suspects are changes to owned objects that were not yet told from belay's own.
	suspects map[types.NamespacedName]map[manifests.ID]string
	// replaced is the objects that belay deleted to make them anew.
	replaced map[types.UID]bool
	// finished is the Jobs that were complete when they were deleted, as a TTL has it.
	finished, finishedBefore map[manifests.ID]bool
	// proven is what is known to be as wanted.
	proven map[types.NamespacedName]map[manifests.ID]proof
	// judged is how the objects of Syncs are whose releases are judged.
	judged map[types.NamespacedName]*steadiness
}

// watched is a kind's watch. The kind is read in that version, whatever the API server prefers by now.
type watched struct {
	version schema.GroupVersionKind
	handled toolscache.ResourceEventHandlerRegistration // tells when the first list has come
}

func (w watched) canBeRead() bool { return w.handled != nil && w.handled.HasSynced() }

// statusless kinds are healthy when they are there, so their metadata is all that is watched. It keeps Secrets out
// of the agent's memory, too.
var statusless = map[kind]bool{
	{Kind: "ConfigMap"}:      true,
	{Kind: "Secret"}:         true,
	{Kind: "ServiceAccount"}: true,
	{Kind: "LimitRange"}:     true,
	{Kind: "PodTemplate"}:    true,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                              true,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:                       true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                       true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                true,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:                             true,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                              true,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                             true,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 true,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: true,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   true,
}

// newWatches prepares watches that call notify with the owner of each changed object. Kinds are added with Ensure.
func newWatches(config *rest.Config, mapper meta.RESTMapper, notify func(types.NamespacedName)) (*Watches, error) {
	owned, err := labels.NewRequirement(manifests.LabelSync, selection.Exists, nil)
	if err != nil {
		return nil, err
	}
	store, err := cache.New(config, cache.Options{
		Mapper:                      mapper,
		DefaultLabelSelector:        labels.NewSelector().Add(*owned),
		DefaultTransform:            keepWatchedFields,
		ReaderFailOnMissingInformer: true,
		SyncPeriod:                  new(time.Duration), // what is known already is no news, every ten hours or ever
	})
	if err != nil {
		return nil, fmt.Errorf("preparing watches: %w", err)
	}
	return &Watches{
		cache: store, mapper: mapper, notify: notify,
		started:  make(chan struct{}),
		watched:  map[kind]watched{},
		wrote:    map[manifests.ID]string{},
		suspects: map[types.NamespacedName]map[manifests.ID]string{},
		replaced: map[types.UID]bool{},
		finished: map[manifests.ID]bool{},
		proven:   map[types.NamespacedName]map[manifests.ID]proof{},
		judged:   map[types.NamespacedName]*steadiness{},
	}, nil
}

// Start runs the watches until ctx ends.
func (w *Watches) Start(ctx context.Context) error {
	go func() {
		if w.cache.WaitForCacheSync(ctx) { // it has no kinds to wait for: Ensure waits for it
			close(w.started)
		}
	}()
	return w.cache.Start(ctx)
}

// firstList is how long the first list of a kind may take. A pass waits no longer.
const firstList = 20 * time.Second

// Ensure starts the watches that ids need, and waits for their first lists. Kinds that the cluster does not know
// are left for later.
func (w *Watches) Ensure(ctx context.Context, ids []manifests.ID) error {
	missing := w.missing(ids)
	if len(missing) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstList)
	defer cancel()
	select {
	case <-w.started: // a cache that has not started gives out informers without waiting for their lists
	case <-ctx.Done():
		return &Error{Reason: "WatchFailed", Temporary: true, Detail: "the agent's watches have not started yet"}
	}
	lists := map[string]toolscache.ResourceEventHandlerRegistration{}
	for _, k := range missing {
		mapping, err := w.mapper.RESTMapping(k)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return describe("", k.Kind, err)
		}
		what := mapping.Resource.GroupResource().String() // other groups have kinds of the same plural
		handled, err := w.watch(ctx, k, mapping.GroupVersionKind)
		if err != nil {
			return &Error{Reason: "WatchFailed", Temporary: true, Detail: "watching " + what + ": " + err.Error()}
		}
		lists[what] = handled
	}
	for what, handled := range lists { // they are on their way side by side
		if !toolscache.WaitFor(ctx, "", handled.HasSyncedChecker()) {
			return &Error{Reason: "WatchFailed", Temporary: true, Detail: "watching " + what + ": the first list has not come within " + firstList.String()}
		}
	}
	return nil
}

// watch has a kind watched, and answers what tells when its first list has come.
func (w *Watches) watch(ctx context.Context, k kind, gvk schema.GroupVersionKind) (toolscache.ResourceEventHandlerRegistration, error) {
	w.opening.Lock() // and not mu, for which handlers wait
	defer w.opening.Unlock()
	w.mu.Lock()
	known := w.watched[k]
	w.mu.Unlock()
	if known.canBeRead() || known.version == gvk {
		return known.handled, nil
	}
	informer, err := w.cache.GetInformer(ctx, like(gvk), cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	handled, err := informer.AddEventHandler(toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    w.added,
		UpdateFunc: w.updated,
		DeleteFunc: w.deleted,
	})
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched[k] = watched{gvk, handled}
	return handled, nil
}

// missing are the kinds that cannot be read yet.
func (w *Watches) missing(ids []manifests.ID) []kind {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[kind]bool{}
	var missing []kind
	for _, id := range ids {
		k := id.GroupKind()
		if seen[k] {
			continue
		}
		seen[k] = true
		if !w.watched[k].canBeRead() {
			missing = append(missing, k)
		}
	}
	return missing
}

// like is an empty object of the form that its kind is cached in.
func like(gvk schema.GroupVersionKind) client.Object {
	if statusless[gvk.GroupKind()] {
		o := &metav1.PartialObjectMetadata{}
		o.SetGroupVersionKind(gvk)
		return o
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(gvk)
	return o
}

// Get reads an owned object as the watches know it; nil where it is not there.
func (w *Watches) Get(ctx context.Context, id manifests.ID) (client.Object, error) {
	return w.get(ctx, id)
}

// peek is Get for who changes nothing of the object: it is the watches' own, and no copy.
func (w *Watches) peek(ctx context.Context, id manifests.ID) (client.Object, error) {
	return w.get(ctx, id, client.UnsafeDisableDeepCopy)
}

func (w *Watches) get(ctx context.Context, id manifests.ID, options ...client.GetOption) (client.Object, error) {
	gvk, err := w.versionOf(id)
	if err != nil {
		return nil, err
	}
	return w.read(ctx, gvk, id, options...)
}

// versionOf is what an object is cached as; the zero value where the cluster does not know its kind, and it is not watched.
func (w *Watches) versionOf(id manifests.ID) (schema.GroupVersionKind, error) {
	w.mu.Lock()
	known := w.watched[id.GroupKind()]
	w.mu.Unlock()
	if known.canBeRead() {
		return known.version, nil
	}
	mapping, err := w.mapper.RESTMapping(id.GroupKind())
	if meta.IsNoMatchError(err) {
		return schema.GroupVersionKind{}, nil
	}
	if err != nil {
		return schema.GroupVersionKind{}, describe(id.String(), id.Kind, err)
	}
	return mapping.GroupVersionKind, nil
}

// read reads an object that is cached as versionOf says; nil where it is not there.
func (w *Watches) read(ctx context.Context, gvk schema.GroupVersionKind, id manifests.ID, options ...client.GetOption) (client.Object, error) {
	if gvk.Empty() {
		return nil, nil
	}
	object := like(gvk)
	err := w.cache.Get(ctx, client.ObjectKey{Namespace: id.Namespace, Name: id.Name}, object, options...)
	if client.IgnoreNotFound(err) != nil {
		return nil, &Error{Reason: "WatchFailed", Object: id.String(), Temporary: true, Detail: err.Error()}
	}
	if err != nil {
		return nil, nil
	}
	return object, nil
}

// Owner is the Sync that an object belongs to, as far as the watches know.
func (w *Watches) Owner(ctx context.Context, id manifests.ID) types.NamespacedName {
	object, err := w.peek(ctx, id)
	if err != nil || object == nil {
		return types.NamespacedName{}
	}
	return ownerOf(object.GetLabels())
}

// Drifted tells whether somebody else has changed or deleted objects of a Sync since the last call.
func (w *Watches) Drifted(sync types.NamespacedName) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	drifted := false
	for id, seen := range w.suspects[sync] {
		written, ours := w.wrote[id]
		switch {
		case seen != "" && ours && written != "" && !older(written, seen): // our own write
		default:
			drifted = true
		}
	}
	delete(w.suspects, sync)
	return drifted
}

// Forget drops what is remembered of a Sync that is gone.
func (w *Watches) Forget(sync types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.suspects, sync)
	delete(w.proven, sync)
	delete(w.judged, sync)
}

func (w *Watches) suspect(sync types.NamespacedName, id manifests.ID, resourceVersion string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.suspects[sync] == nil {
		w.suspects[sync] = map[manifests.ID]string{}
	}
	w.suspects[sync][id] = resourceVersion
}

func (w *Watches) added(event any, initial bool) {
	object, ok := event.(client.Object)
	if !ok {
		return
	}
	w.noticed(object)
	if !initial {
		w.notify(ownerOf(object.GetLabels()))
	}
}

func (w *Watches) updated(before, after any) {
	old, ok1 := before.(client.Object)
	now, ok2 := after.(client.Object)
	if !ok1 || !ok2 || old.GetResourceVersion() == now.GetResourceVersion() {
		return
	}
	owner := ownerOf(now.GetLabels())
	if isHook(old) || isHook(now) {
		w.notify(owner)
		return
	}
	if before := ownerOf(old.GetLabels()); before != owner {
		w.suspect(before, watchedID(now), "") // belay takes its labels off before others put theirs on
		w.notify(before)
	}
	if drift(old, now) {
		w.suspect(owner, watchedID(now), now.GetResourceVersion())
	}
	w.noticed(now)
	w.notify(owner)
}

func (w *Watches) deleted(event any) {
	if gone, ok := event.(toolscache.DeletedFinalStateUnknown); ok {
		event = gone.Obj
	}
	object, ok := event.(client.Object)
	if !ok {
		return
	}
	owner := ownerOf(object.GetLabels())
	if w.gone(object) && !isHook(object) {
		w.suspect(owner, watchedID(object), "")
	}
	w.notify(owner)
}

// mostFinished is how many Jobs are remembered at least that have gone after they were complete, and half of how many at
// most: only those of releases that are being judged are asked for, and names that are used once come by the thousand.
const mostFinished = 10000

// gone notes that an object is not there any more, and tells whether that is a change to put right. A Job that is
// complete has done what it was for.
func (w *Watches) gone(object client.Object) (matters bool) {
	id := watchedID(object)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judged[ownerOf(object.GetLabels())].broken(id)
	written, ours := w.wrote[id]
	if ours && (written == "" || !older(object.GetResourceVersion(), written)) {
		delete(w.wrote, id) // there is nothing to catch up with
	}
	if ours && written == "" {
		return false // we deleted it
	}
	if w.replaced[object.GetUID()] {
		delete(w.replaced, object.GetUID())
		return false
	}
	if u, ok := object.(*unstructured.Unstructured); ok && id.GroupKind() == job && isComplete(u) {
		if len(w.finished) >= mostFinished {
			w.finishedBefore, w.finished = w.finished, map[manifests.ID]bool{}
		}
		w.finished[id] = true
		return false
	}
	return true
}

func watchedID(object client.Object) manifests.ID {
	gvk := object.GetObjectKind().GroupVersionKind()
	return manifests.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
}

func isComplete(job *unstructured.Unstructured) bool { return hasCondition(job, "Complete") }

// hasCondition tells whether an object has a condition that is True.
func hasCondition(u *unstructured.Unstructured, name string) bool {
	_, has := trueCondition(u, name)
	return has
}

// trueCondition finds an object's condition of a type, if it is True.
func trueCondition(u *unstructured.Unstructured, name string) (condition map[string]any, has bool) {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if condition, _ := c.(map[string]any); condition["type"] == name && condition["status"] == "True" {
			return condition, true
		}
	}
	return nil, false
}
