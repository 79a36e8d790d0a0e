package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	fieldselector "k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// View is what a person sees of a Sync's objects and of what is there on their behalf, with his own rights: lists, and
// watches from there on. The agent has [Watches] instead.
type View struct {
	sources []*viewSource
	sync    *viewSource
	roots   func(live []*unstructured.Unstructured) []manifests.ID
	objects *Objects
}

// viewSource is one kind in one namespace, or in all where it is cluster-scoped.
type viewSource struct {
	what     string
	of       manifests.ID // group, kind and namespace
	resource dynamic.ResourceInterface
	labels   string // selectors
	fields   string
	version  string                                   // of the list that known began with
	known    map[types.UID]*unstructured.Unstructured // nil where it cannot be read
}

// View prepares a view of a release's objects. Kinds that the cluster does not have are left out.
func (o *Objects) View(ids []manifests.ID) (*View, error) {
	wanted := map[manifests.ID]string{} // group, kind and namespace → labels
	for _, id := range ids {
		wanted[manifests.ID{Group: id.Group, Kind: id.Kind, Namespace: id.Namespace}] = o.selector()
	}
	for _, id := range ids {
		if id.Namespace != "" {
			o.seeBehind(wanted, id.Namespace)
		}
	}
	view, err := o.view(wanted)
	if view != nil {
		view.roots = func([]*unstructured.Unstructured) []manifests.ID { return ids }
	}
	return view, err
}

// ViewLabelled prepares a view of the workloads of the Sync's namespace that bear its labels, for who may not read its
// releases.
func (o *Objects) ViewLabelled() (*View, error) {
	wanted := map[manifests.ID]string{}
	for _, k := range manifests.Workloads() {
		wanted[manifests.ID{Group: k.Group, Kind: k.Kind, Namespace: o.sync.Namespace}] = o.selector()
	}
	o.seeBehind(wanted, o.sync.Namespace)
	view, err := o.view(wanted)
	if view != nil {
		view.roots = func(live []*unstructured.Unstructured) []manifests.ID {
			var roots []manifests.ID
			for _, u := range live {
				if ownerOf(u.GetLabels()) == o.sync && metav1.GetControllerOfNoCopy(u) == nil {
					roots = append(roots, idOf(u))
				}
			}
			return manifests.Union(roots)
		}
	}
	return view, err
}

// seeBehind wants all ReplicaSets, Jobs and pods of a namespace seen. The Sync's own are among them.
func (o *Objects) seeBehind(wanted map[manifests.ID]string, namespace string) {
	for _, k := range []kind{bareReplicaSet, job, pod} {
		wanted[manifests.ID{Group: k.Group, Kind: k.Kind, Namespace: namespace}] = ""
	}
}

func (o *Objects) view(wanted map[manifests.ID]string) (*View, error) {
	view := &View{objects: o}
	for _, id := range slices.SortedFunc(maps.Keys(wanted), manifests.ID.Compare) {
		mapping, err := o.cluster.mapper.RESTMapping(id.GroupKind())
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return nil, describe("", id.Kind, err)
		}
		what := mapping.Resource.GroupResource().String()
		if id.Namespace != "" {
			what += " of namespace " + id.Namespace
		}
		view.sources = append(view.sources, &viewSource{what: what, of: id, resource: o.resource(mapping, id.Namespace), labels: wanted[id]})
	}
	syncs := v1alpha1.GroupVersion.WithResource("syncs")
	view.sync = &viewSource{
		what: "syncs of namespace " + o.sync.Namespace, resource: o.client.Resource(syncs).Namespace(o.sync.Namespace),
		fields: fieldselector.OneTermEqualSelector("metadata.name", o.sync.Name).String(),
	}
	view.sources = append(view.sources, view.sync)
	return view, nil
}

// Read lists all anew. Its error is about what may not be read, and what could be is in the view all the same.
func (v *View) Read(ctx context.Context) error {
	errs := make([]error, len(v.sources))
	each(len(v.sources), func(i int) { errs[i] = v.sources[i].read(ctx) })
	return all(errs)
}

func (s *viewSource) read(ctx context.Context) error {
	s.known = nil
	known := map[types.UID]*unstructured.Unstructured{}
	options := metav1.ListOptions{LabelSelector: s.labels, FieldSelector: s.fields, Limit: 500}
	for {
		list, err := s.resource.List(ctx, options)
		if apierrors.IsForbidden(err) {
			return &Error{Reason: "Forbidden", Detail: "you may not list " + s.what}
		}
		if err != nil {
			return describe("listing "+s.what, "", err)
		}
		for i := range list.Items {
			known[list.Items[i].GetUID()] = &list.Items[i]
		}
		s.version = list.GetResourceVersion()
		if options.Continue = list.GetContinue(); options.Continue == "" {
			s.known = known
			return nil
		}
	}
}

// gatherView is how long a change waits for others before a person is shown them.
const gatherView = 200 * time.Millisecond

// news is what a watch of a view's source tells; the zero event when it has ended.
type news struct {
	source *viewSource
	event  watch.Event
}

// Follow takes up what changes after Read, and calls show some moments after each change, until show answers an error,
// ctx ends, or a watch does: then Read is due again.
func (v *View) Follow(ctx context.Context, show func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := make(chan news)
	for _, source := range v.sources {
		if source.known == nil {
			continue
		}
		watching, err := source.resource.Watch(ctx, metav1.ListOptions{
			LabelSelector: source.labels, FieldSelector: source.fields, ResourceVersion: source.version,
		})
		if err != nil {
			return describe("watching "+source.what, "", err)
		}
		defer watching.Stop()
		go source.tell(ctx, watching, stream)
	}
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n := <-stream:
			if !n.source.take(n.event) {
				return nil
			}
			if due == nil {
				due = time.After(gatherView)
			}
		case <-due:
			due = nil
			if err := show(); err != nil {
				return err
			}
		}
	}
}

// tell passes on what a watch tells, and that it has ended.
func (s *viewSource) tell(ctx context.Context, watching watch.Interface, stream chan<- news) {
	for open := true; open; {
		var event watch.Event
		event, open = <-watching.ResultChan()
		select {
		case stream <- news{s, event}:
		case <-ctx.Done():
			return
		}
	}
}

// take takes an event up, and tells whether the watch goes on.
func (s *viewSource) take(event watch.Event) bool {
	object, ok := event.Object.(*unstructured.Unstructured)
	switch {
	case !ok || event.Type == watch.Error || event.Type == "":
		return false
	case event.Type == watch.Deleted:
		delete(s.known, object.GetUID())
	default:
		s.known[object.GetUID()] = object
	}
	return true
}

// Sync is the Sync itself; as it is known where it cannot be listed, and nil where it is gone.
func (v *View) Sync(known *v1alpha1.Sync) (*v1alpha1.Sync, error) {
	if v.sync.known == nil {
		return known, nil
	}
	for _, object := range v.sync.known {
		sync := &v1alpha1.Sync{}
		return sync, fromMap(object.Object, sync)
	}
	return nil, nil
}

// Tree is the release's objects with what is there on their behalf, as they are now.
func (v *View) Tree() []Branch {
	var live []*unstructured.Unstructured
	unread := map[manifests.ID]string{}
	for _, source := range v.sources {
		live = slices.AppendSeq(live, maps.Values(source.known))
		if source.known == nil {
			unread[source.of] = source.what
		}
	}
	tree := grow(v.roots(live), live, v.objects.rules)
	for i := range tree {
		found := &tree[i].Health
		what, is := unread[manifests.ID{Group: found.ID.Group, Kind: found.ID.Kind, Namespace: found.ID.Namespace}]
		if is {
			*found, tree[i].Unread = manifests.Health{ID: found.ID, Condition: manifests.Unknown, Message: "the " + what + " could not be read"}, true
		}
		*found = v.objects.ignored(*found)
	}
	return tree
}
