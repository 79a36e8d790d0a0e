package cluster

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// written is an object as it is to be written over the live one: fields that are somebody else's once the object is
// there, autoscaled replicas and what spec.apply.ignore names, are taken from the live one as far as belay holds them,
// so that they lose neither value nor owner, and are left out otherwise. Left is where these fields are.
func (t trial) written(ctx context.Context, object manifests.Object, live *unstructured.Unstructured) (written manifests.Object, left []fieldpath.Path, err error) {
	pointers := pointersFor(t.ignore, object.ID())
	if t.autoscaled(ctx, object.ID(), live) {
		pointers = append(pointers, "/spec/replicas")
	}
	if len(pointers) == 0 {
		return object, nil, nil
	}
	u := object.Unstructured()
	for _, pointer := range pointers {
		if path := yield(u, live, pointer); path != nil {
			left = append(left, path)
		}
	}
	written, err = manifests.NewObject(u, object.File)
	return written, left, err
}

// pointersFor is the JSON pointers of the rules that an object is the target of.
func pointersFor(rules []v1alpha1.IgnoreRule, id manifests.ID) (pointers []string) {
	for _, rule := range rules {
		if fits(rule.Target, id) {
			pointers = append(pointers, rule.Paths...)
		}
	}
	slices.SortFunc(pointers, laterFirst)
	return pointers
}

// fits tells whether an object is one that a target picks.
func fits(t v1alpha1.Target, id manifests.ID) bool {
	like := func(pattern, name string) bool {
		ok, err := path.Match(pattern, name)
		return pattern == "" || pattern == name || ok && err == nil
	}
	return like(t.Group, id.Group) && like(t.Kind, id.Kind) && like(t.Namespace, id.Namespace) && like(t.Name, id.Name)
}

// laterFirst orders JSON pointers so that none leads elsewhere once those before it have been left out: of two items of
// a list the later one comes first, and what is in an item before the item.
func laterFirst(a, b string) int {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(x), len(y)) {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		switch {
		case x[i] == y[i]:
		case errM == nil && errN == nil:
			return n - m
		default:
			return strings.Compare(x[i], y[i])
		}
	}
	return len(y) - len(x)
}

// identity is what makes an object the one that it is, or this Sync's. It is written whatever is to be ignored.
var identity = [][]string{
	{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"},
	{"metadata", "labels", manifests.LabelSync}, {"metadata", "labels", manifests.LabelNamespace},
}

// yield leaves the field at a JSON pointer to the live object, and answers where that is. A pointer that leads nowhere
// changes nothing.
func yield(u, live *unstructured.Unstructured, pointer string) fieldpath.Path {
	before := u.DeepCopy()
	held, known := ownFields(live.GetManagedFields()), allFields(live.GetManagedFields())
	at := place{wanted: u.Object, live: live.Object, held: held, known: known, set: func(any) {}}
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, token := range tokens {
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	for _, token := range tokens[:len(tokens)-1] {
		if at = at.down(token); at.wanted == nil || at.live == nil {
			return nil
		}
	}
	path := at.replace(tokens[len(tokens)-1])
	for _, field := range identity {
		if value, ok, _ := unstructured.NestedString(before.Object, field...); ok {
			_ = unstructured.SetNestedField(u.Object, value, field...) // a text can always be set where one was
		}
	}
	return path
}

// place is somewhere inside an object: what is wanted and what lives there, which fields below it belay holds, and
// which anybody does.
type place struct {
	wanted, live any
	held, known  *fieldpath.Set
	atomic       bool      // it is inside a list that has one owner as a whole
	set          func(any) // puts something else there
	path         fieldpath.Path
}

// down goes to a member of a map, or to an item of a list: the one at this index of the wanted list, and the live one
// with the same key, if the list's items have one.
func (p place) down(token string) place {
	switch wanted := p.wanted.(type) {
	case map[string]any:
		live, _ := p.live.(map[string]any)
		return p.below(fieldpath.FieldNameElement(token), wanted[token], live[token], func(v any) { wanted[token] = v })
	case []any:
		live, _ := p.live.([]any)
		i, err := strconv.Atoi(token)
		if err != nil || i < 0 || i >= len(wanted) {
			return place{}
		}
		set := func(v any) { wanted[i] = v }
		for _, element := range elements(p.known) {
			if isItem(wanted[i], element) {
				return p.below(element, wanted[i], step(live, element), set)
			}
		}
		if i < len(live) && len(elements(p.known)) == 0 {
			return place{wanted[i], live[i], &fieldpath.Set{}, &fieldpath.Set{}, true, set, p.path}
		}
	}
	return place{}
}

func (p place) below(element fieldpath.PathElement, wanted, live any, set func(any)) place {
	path := p.path
	if !p.atomic {
		path = append(p.path.Copy(), element)
	}
	return place{wanted, live, descend(p.held, element), descend(p.known, element), p.atomic, set, path}
}

// replace takes one member or item from the live object, as far as belay holds it, or leaves it out.
func (p place) replace(token string) fieldpath.Path {
	at := p.down(token)
	switch wanted := p.wanted.(type) {
	case map[string]any:
		element := fieldpath.FieldNameElement(token)
		if value, ok := p.kept(at, p.held.Members.Has(element)); ok {
			wanted[token] = value
			break
		}
		delete(wanted, token)
	case []any:
		if at.wanted == nil || at.live == nil {
			break // no such item yet
		}
		if value, ok := p.kept(at, false); ok {
			at.set(value)
			break
		}
		i, _ := strconv.Atoi(token) // down has read it
		p.set(append(wanted[:i:i], wanted[i+1:]...))
	}
	return at.path
}

// kept is what to write of a live value.
func (p place) kept(at place, whole bool) (any, bool) {
	if at.live == nil || at.atomic {
		return at.live, at.live != nil
	}
	return restrict(at.live, at.held, whole)
}

// restrict is the part of a live value that belay holds.
func restrict(value any, held *fieldpath.Set, whole bool) (any, bool) {
	if held.Empty() {
		return value, whole
	}
	switch value := value.(type) {
	case map[string]any:
		part := map[string]any{}
		for key, member := range value {
			element := fieldpath.FieldNameElement(key)
			if kept, ok := restrict(member, descend(held, element), held.Members.Has(element)); ok {
				part[key] = kept
			}
		}
		return part, true
	case []any:
		part := []any{}
		for _, item := range value {
			for _, element := range elements(held) {
				if !isItem(item, element) {
					continue
				}
				kept, ok := restrict(item, descend(held, element), held.Members.Has(element))
				if ok {
					part = append(part, kept)
				}
				break
			}
		}
		return part, true
	}
	return value, true
}

// elements is all that a set names one step down. (The iterators of fieldpath cannot be left early.)
func elements(set *fieldpath.Set) (elements []fieldpath.PathElement) {
	add := func(element fieldpath.PathElement) { elements = append(elements, element) }
	set.Members.Iterate(add)
	set.Children.Iterate(func(element fieldpath.PathElement) {
		if !set.Members.Has(element) {
			add(element)
		}
	})
	return elements
}

func descend(set *fieldpath.Set, element fieldpath.PathElement) *fieldpath.Set {
	if below, ok := set.Children.Get(element); ok {
		return below
	}
	return &fieldpath.Set{}
}

// allFields is what anybody holds of an object.
func allFields(entries []metav1.ManagedFieldsEntry) *fieldpath.Set {
	all := &fieldpath.Set{}
	for _, entry := range entries {
		all = all.Union(fieldsOf(entry))
	}
	return all
}
