package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// createManager is the field manager of objects that belay created and was not to change. If it is to change them one
// day, what it wrote becomes its own in the way that people's fields do.
const createManager = FieldManager + "-create"

// handManagers are the field managers of what people do with kubectl. What they wrote on an owned object counts as
// belay's: it is what Git says, or it goes. The others of kubectl's (kubectl-rollout, kubectl-label,
// kubectl-annotate) add what is no business of Git's. "before-first-apply" is the API server's name for whoever wrote
// an object that had no managedFields.
var handManagers = map[string]bool{
	createManager:               true,
	"before-first-apply":        true,
	"kubectl":                   true,
	"kubectl-autoscale":         true,
	"kubectl-client-side-apply": true,
	"kubectl-create":            true,
	"kubectl-edit":              true,
	"kubectl-expose":            true,
	"kubectl-last-applied":      true,
	"kubectl-patch":             true,
	"kubectl-replace":           true,
	"kubectl-run":               true,
	"kubectl-scale":             true,
	"kubectl-set":               true,
}

// byHand tells whether an entry of managedFields is to become belay's. A subresource has controllers of its own.
func byHand(entry metav1.ManagedFieldsEntry) bool {
	return handManagers[entry.Manager] && entry.Subresource == "" && entry.FieldsV1 != nil
}

// foreign tells whether an entry of managedFields is somebody else's. Under belay's name there is also what admission
// added to belay's writes.
func foreign(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager != FieldManager && entry.Subresource == "" && entry.FieldsV1 != nil
}

// fieldsOf reads an entry of managedFields; one that cannot be read holds nothing.
func fieldsOf(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
	fields := &fieldpath.Set{}
	if entry.FieldsV1 == nil || fields.FromJSON(entry.FieldsV1.GetRawReader()) != nil {
		return &fieldpath.Set{}
	}
	return fields
}

// ownFields is what belay applied of an object and still holds.
func ownFields(entries []metav1.ManagedFieldsEntry) *fieldpath.Set {
	for _, entry := range entries {
		if ours(entry) {
			return fieldsOf(entry)
		}
	}
	return &fieldpath.Set{}
}

// picker picks fields out of an entry of managedFields.
type picker = func(metav1.ManagedFieldsEntry) *fieldpath.Set

// takeOver moves to belay the fields that take picks of each other entry, so that the next apply removes what Git does
// not have. It changes no field itself. The version is that of a new entry of belay's, where there is none yet.
func takeOver(entries []metav1.ManagedFieldsEntry, take picker) (moved []metav1.ManagedFieldsEntry, changed bool, err error) {
	taken := map[string]*fieldpath.Set{} // by version
	for _, entry := range entries {
		fields := take(entry)
		if ours(entry) || fields.Empty() {
			moved = append(moved, entry)
			continue
		}
		changed = true
		if taken[entry.APIVersion] == nil {
			taken[entry.APIVersion] = &fieldpath.Set{}
		}
		taken[entry.APIVersion] = taken[entry.APIVersion].Union(fields)
		if left := fieldsOf(entry).Difference(fields); !left.Empty() {
			if entry, err = withFields(entry, left); err != nil {
				return nil, false, err
			}
			moved = append(moved, entry)
		}
	}
	if !changed {
		return entries, false, nil
	}
	moved, err = add(moved, taken)
	return moved, true, err
}

// add gives fields to belay's entry. It has one version: fields of any other are nobody's from then on.
func add(entries []metav1.ManagedFieldsEntry, taken map[string]*fieldpath.Set) ([]metav1.ManagedFieldsEntry, error) {
	i := slices.IndexFunc(entries, ours)
	if i < 0 {
		i = len(entries)
		now := metav1.Now()
		entries = append(entries, metav1.ManagedFieldsEntry{
			Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, Time: &now,
			APIVersion: slices.Max(slices.Collect(maps.Keys(taken))), FieldsType: "FieldsV1",
		})
	}
	fields := taken[entries[i].APIVersion]
	if fields == nil {
		return entries, nil
	}
	entry, err := withFields(entries[i], fieldsOf(entries[i]).Union(fields))
	entries[i] = entry
	return entries, err
}

func withFields(entry metav1.ManagedFieldsEntry, fields *fieldpath.Set) (metav1.ManagedFieldsEntry, error) {
	text, err := fields.ToJSON()
	if err != nil {
		return entry, fmt.Errorf("writing managedFields: %w", err)
	}
	entry.FieldsV1 = &metav1.FieldsV1{}
	entry.FieldsV1.SetRawBytes(text)
	return entry, nil
}

// allByHand picks all that people wrote with kubectl.
func allByHand(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
	if !byHand(entry) {
		return &fieldpath.Set{}
	}
	return fieldsOf(entry)
}

// except is a set without what is at or below paths.
func except(fields *fieldpath.Set, paths []fieldpath.Path) *fieldpath.Set {
	if len(paths) == 0 {
		return fields
	}
	rest := &fieldpath.Set{}
	for path := range fields.All() {
		below := func(at fieldpath.Path) bool { return len(at) <= len(path) && path[:len(at)].Equals(at) }
		if !slices.ContainsFunc(paths, below) {
			rest.Insert(path.Copy())
		}
	}
	return rest
}

// inTheWay picks, beside what people wrote with kubectl, the items that others hold in lists that an API error is
// about, and that the wanted object does not have: a port under another number, say, whose name is the same.
func inTheWay(wanted map[string]any, refused []string) picker {
	return func(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
		if byHand(entry) || !foreign(entry) {
			return allByHand(entry)
		}
		picked := &fieldpath.Set{}
		for path := range fieldsOf(entry).All() {
			for i, element := range path {
				if element.Key != nil && concerns(path[:i], refused) && lacks(wanted, path[:i], element) {
					picked.Insert(path.Copy())
					break
				}
			}
		}
		return picked
	}
}

var brackets = regexp.MustCompile(`\[[^\]]*\]`)

// concerns tells whether an error about one of fields ("spec.ports[1].name") can be about a list.
func concerns(list fieldpath.Path, fields []string) bool {
	var name strings.Builder
	for _, element := range list {
		if element.FieldName != nil {
			name.WriteString(*element.FieldName + ".")
		}
	}
	return slices.ContainsFunc(fields, func(field string) bool {
		field = brackets.ReplaceAllString(field, "") + "."
		return strings.HasPrefix(field, name.String()) || strings.HasPrefix(name.String(), field)
	})
}

// lacks tells whether the wanted object has the list at path, but not this item of it.
func lacks(wanted any, path fieldpath.Path, item fieldpath.PathElement) bool {
	for _, element := range path {
		wanted = step(wanted, element)
	}
	items, ok := wanted.([]any)
	return ok && step(items, item) == nil
}

// step goes down to the member or the item that a path element names; nil if there is none.
func step(value any, element fieldpath.PathElement) any {
	switch value := value.(type) {
	case map[string]any:
		if element.FieldName != nil {
			return value[*element.FieldName]
		}
	case []any:
		if i := slices.IndexFunc(value, func(item any) bool { return isItem(item, element) }); i >= 0 {
			return value[i]
		}
	}
	return nil
}

// isItem tells whether a list's item is the one that a path element names. A protocol that is not written is TCP, the
// only key of a built-in list with a default; other keys that are not written may be anything.
func isItem(item any, element fieldpath.PathElement) bool {
	if element.Value != nil {
		return fmt.Sprint(item) == fmt.Sprint((*element.Value).Unstructured())
	}
	m, ok := item.(map[string]any)
	if !ok || element.Key == nil {
		return false
	}
	for _, field := range *element.Key {
		have, written := m[field.Name]
		if !written && field.Name == "protocol" {
			have, written = "TCP", true
		}
		if written && fmt.Sprint(have) != fmt.Sprint(field.Value.Unstructured()) {
			return false
		}
	}
	return true
}

// holders says for people which manager holds which fields of those that pick picks: `manager "scaler" holds
// .spec.replicas`.
func holders(entries []metav1.ManagedFieldsEntry, pick picker) string {
	const most = 3
	var texts []string
	own := ownFields(entries)
	for _, entry := range entries {
		fields := pick(entry).Leaves()
		if left := fields.Difference(own); !left.Empty() {
			fields = left
		}
		var names []string
		for path := range fields.All() {
			names = append(names, path.String())
		}
		if rest := len(names) - most; rest > 0 {
			names = append(names[:most], fmt.Sprintf("%d more", rest))
		}
		if len(names) > 0 {
			texts = append(texts, fmt.Sprintf("manager %q holds %s", entry.Manager, strings.Join(names, ", ")))
		}
	}
	return strings.Join(texts, "; ")
}

// managedFieldsPatch writes managedFields, unless the object has changed since it was read.
func managedFieldsPatch(object metav1.Object, entries []metav1.ManagedFieldsEntry) ([]byte, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	return json.Marshal([]operation{
		{"replace", "/metadata/managedFields", entries},
		// Not a "test", which would be refused as invalid and not as a conflict.
		{"replace", "/metadata/resourceVersion", object.GetResourceVersion()},
	})
}
