package cluster

import (
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// isOutdated tells whether an apply was refused because managedFields name an older version of the kind, whose schema
// lacks a field that the object has by now: the API server cannot say then who held what in that version. The words
// are those of Kubernetes 1.36 (sigs.k8s.io/structured-merge-diff/v6/merge).
func isOutdated(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed to convert") &&
		strings.Contains(err.Error(), "field not declared in schema")
}

// updating moves managedFields of other versions of a kind to this one, so that they can be compared. What somebody held
// of fields that this version does not have is nobody's from then on.
func updating(version schema.GroupVersion) ownership {
	return func(entries []metav1.ManagedFieldsEntry) (moved []metav1.ManagedFieldsEntry, changed bool, err error) {
		for _, entry := range entries {
			if entry.APIVersion != version.String() {
				entry.APIVersion, changed = version.String(), true
			}
			i := slices.IndexFunc(moved, func(other metav1.ManagedFieldsEntry) bool {
				return other.Manager == entry.Manager && other.Operation == entry.Operation && other.Subresource == entry.Subresource
			})
			if i < 0 {
				moved = append(moved, entry)
				continue
			}
			if moved[i], err = withFields(moved[i], fieldsOf(moved[i]).Union(fieldsOf(entry))); err != nil {
				return nil, false, err
			}
		}
		return moved, changed, nil
	}
}
