package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Set is the objects of one application, in the order they were read, no two with the same [ID].
type Set struct {
	objects []Object
	facts   *facts // nil for the zero Set
}

// facts is what is found out about a Set once, for all copies of the value.
type facts struct {
	sorted func() []ID
	digest func() string
}

// setOf is the Set of objects that nobody else has the list of, and that are known to have different IDs.
func setOf(objects []Object) Set {
	s := Set{objects: objects}
	return Set{objects: objects, facts: &facts{sorted: sync.OnceValue(s.sortIDs), digest: sync.OnceValue(s.sum)}}
}

// NewSet refuses objects that name the same thing twice, and says in which files.
func NewSet(objects ...Object) (Set, error) {
	return newSet(slices.Clone(objects))
}

// newSet is [NewSet] for a list that nobody else has.
func newSet(objects []Object) (Set, error) {
	seen := make(map[ID]int, len(objects))
	for i, o := range objects {
		if first, twice := seen[o.id]; twice {
			return Set{}, fmt.Errorf("%s is defined twice, in %s and in %s: keep one", o.id, objects[first].File, o.File)
		}
		seen[o.id] = i
	}
	return setOf(objects), nil
}

// Objects is a copy of the set's list.
func (s Set) Objects() []Object { return slices.Clone(s.objects) }

// Len is how many objects there are.
func (s Set) Len() int { return len(s.objects) }

// IDs names the objects, sorted.
func (s Set) IDs() []ID {
	if s.facts == nil {
		return s.sortIDs()
	}
	return slices.Clone(s.facts.sorted())
}

func (s Set) sortIDs() []ID {
	ids := make([]ID, len(s.objects))
	for i, o := range s.objects {
		ids[i] = o.id
	}
	return Union(ids)
}

// Object is the one of that name; the zero Object if there is none.
func (s Set) Object(id ID) Object {
	if i := slices.IndexFunc(s.objects, func(o Object) bool { return o.id == id }); i >= 0 {
		return s.objects[i]
	}
	return Object{}
}

// Index is the set's IDs, to look one up.
func (s Set) Index() map[ID]bool {
	ids := make(map[ID]bool, len(s.objects))
	for _, o := range s.objects {
		ids[o.id] = true
	}
	return ids
}

// Map is the set with change applied to a copy of each object.
func (s Set) Map(change func(*unstructured.Unstructured) error) (Set, error) {
	changed := make([]Object, len(s.objects))
	for i, o := range s.objects {
		u := o.Unstructured()
		if err := change(u); err != nil {
			return Set{}, fmt.Errorf("%s: %w", o, err)
		}
		changed[i] = objectOf(u, o.File)
	}
	return newSet(changed)
}

// each is the set with each object replaced. Change keeps the IDs, and answers the object itself where there is nothing
// to change: a set of which nothing changes is the same Set still.
func (s Set) each(change func(Object) (Object, error)) (Set, error) {
	var changed []Object
	for i, o := range s.objects {
		now, err := change(o)
		if err != nil {
			return Set{}, fmt.Errorf("%s: %w", o, err)
		}
		if changed == nil && now.content != o.content {
			changed = slices.Clone(s.objects)
		}
		if changed != nil {
			changed[i] = now
		}
	}
	if changed == nil {
		return s, nil
	}
	return setOf(changed), nil
}

// OwnedBy is the set with the labels that say which Sync it belongs to.
func (s Set) OwnedBy(namespace, name string) (Set, error) {
	return s.each(func(o Object) (Object, error) {
		owned, labels := o.copied("metadata", "labels")
		labels[LabelSync], labels[LabelNamespace] = name, namespace
		return owned, nil
	})
}

// InNamespaces is the set with each object in the namespace that choose answers for it; in none where that is "". It
// refuses two objects that come to be the same.
func (s Set) InNamespaces(choose func(ID) string) (Set, error) {
	placed := make([]Object, len(s.objects))
	for i, o := range s.objects {
		placed[i] = o.inNamespace(choose(o.id))
	}
	return newSet(placed)
}

func (o Object) inNamespace(namespace string) Object {
	metadata, _ := nestedMap(o.content.Object, "metadata")
	if was, written := metadata["namespace"]; written == (namespace != "") && (!written || was == namespace) {
		return o
	}
	placed, metadata := o.copied("metadata")
	if placed.id.Namespace = namespace; namespace == "" {
		delete(metadata, "namespace")
	} else {
		metadata["namespace"] = namespace
	}
	return placed
}

// Digest is the SHA-256, in hex, of the objects in the order of their IDs: two sets with the same digest ask the
// cluster for the same things.
func (s Set) Digest() string {
	if s.facts == nil {
		return s.sum()
	}
	return s.facts.digest()
}

func (s Set) sum() string {
	sorted := s.Objects()
	slices.SortFunc(sorted, func(a, b Object) int { return a.id.Compare(b.id) })
	hash := sha256.New()
	lines := json.NewEncoder(hash)
	for _, o := range sorted {
		// JSON of maps has its keys sorted, and unstructured content holds nothing that JSON cannot.
		_ = lines.Encode(o.content.Object)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// MarshalJSON writes the objects as a JSON list, without the files they came from.
func (s Set) MarshalJSON() ([]byte, error) { return json.Marshal(s.contents()) }

// contents is for writing alone: it is what the objects share.
func (s Set) contents() []map[string]any {
	list := make([]map[string]any, len(s.objects))
	for i, o := range s.objects {
		list[i] = o.content.Object
	}
	return list
}

// UnmarshalJSON reads what MarshalJSON wrote, integers as integers.
func (s *Set) UnmarshalJSON(text []byte) error {
	var list []map[string]any
	if err := utiljson.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("reading a list of objects: %w", err)
	}
	objects := make([]Object, len(list))
	for i, content := range list {
		o, err := Take(&unstructured.Unstructured{Object: content}, "")
		if err != nil {
			return fmt.Errorf("reading object %d: %w", i, err)
		}
		objects[i] = o
	}
	set, err := newSet(objects)
	if err != nil {
		return err
	}
	*s = set
	return nil
}
