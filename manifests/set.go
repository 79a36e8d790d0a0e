package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Set is the objects of one application, in the order they were read, no two with the same [ID].
type Set struct {
	objects []Object
}

// NewSet refuses objects that name the same thing twice, and says in which files.
func NewSet(objects ...Object) (Set, error) {
	seen := make(map[ID]Object, len(objects))
	for _, o := range objects {
		if first, twice := seen[o.ID()]; twice {
			return Set{}, fmt.Errorf("%s is defined twice, in %s and in %s: keep one", o.ID(), first.File, o.File)
		}
		seen[o.ID()] = o
	}
	return Set{objects: slices.Clone(objects)}, nil
}

// Objects is a copy of the set's list.
func (s Set) Objects() []Object { return slices.Clone(s.objects) }

// Len is how many objects there are.
func (s Set) Len() int { return len(s.objects) }

// IDs names the objects, sorted.
func (s Set) IDs() []ID {
	ids := make([]ID, len(s.objects))
	for i, o := range s.objects {
		ids[i] = o.ID()
	}
	return Union(ids)
}

// Object is the one of that name; the zero Object if there is none.
func (s Set) Object(id ID) Object {
	for _, o := range s.objects {
		if o.ID() == id {
			return o
		}
	}
	return Object{}
}

// Index is the set's IDs, to look one up.
func (s Set) Index() map[ID]bool {
	ids := make(map[ID]bool, len(s.objects))
	for _, o := range s.objects {
		ids[o.ID()] = true
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
		changed[i] = Object{File: o.File, content: u}
	}
	return NewSet(changed...)
}

// OwnedBy is the set with the labels that say which Sync it belongs to.
func (s Set) OwnedBy(namespace, name string) (Set, error) {
	return s.Map(func(u *unstructured.Unstructured) error {
		labels := u.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[LabelSync], labels[LabelNamespace] = name, namespace
		u.SetLabels(labels)
		return nil
	})
}

// Digest is the SHA-256, in hex, of the objects in the order of their IDs: two sets with the same digest ask the
// cluster for the same things.
func (s Set) Digest() string {
	sorted := s.Objects()
	slices.SortFunc(sorted, func(a, b Object) int { return a.ID().Compare(b.ID()) })
	hash := sha256.New()
	for _, o := range sorted {
		// JSON of maps has its keys sorted, and unstructured content holds nothing that JSON cannot.
		text, _ := json.Marshal(o.content.Object)
		hash.Write(text)
		hash.Write([]byte{'\n'})
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// MarshalJSON writes the objects as a JSON list, without the files they came from.
func (s Set) MarshalJSON() ([]byte, error) {
	list := make([]map[string]any, len(s.objects))
	for i, o := range s.objects {
		list[i] = o.content.Object
	}
	return json.Marshal(list)
}

// UnmarshalJSON reads what MarshalJSON wrote, integers as integers.
func (s *Set) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("reading a list of objects: %w", err)
	}
	objects := make([]Object, len(list))
	for i, raw := range list {
		var u unstructured.Unstructured
		if err := u.UnmarshalJSON(raw); err != nil {
			return fmt.Errorf("reading object %d: %w", i, err)
		}
		o, err := NewObject(&u, "")
		if err != nil {
			return err
		}
		objects[i] = o
	}
	set, err := NewSet(objects...)
	if err != nil {
		return err
	}
	*s = set
	return nil
}
