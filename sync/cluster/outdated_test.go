package cluster

// Fault "From the trackers of others" 12: `field not declared in schema`, for managedFields name a version that lacks
// the field, so that they are moved to the applied version, once.

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestManagedFieldsOfAnOlderVersionAreRecognised(t *testing.T) {
	for text, want := range map[string]bool{
		"failed to prune fields: failed to convert merged object to last applied version: .spec.fresh: field not declared in schema": true,
		"failed to convert new object: .spec.fresh: field not declared in schema":                                                    true,
		"failed to create typed patch object (shop/a; x/v1, Kind=Thing): .spec.x: field not declared in schema":                      false,
		"failed to create typed live object (shop/a; x/v1, Kind=Thing): .spec.x: expected map, got &{x}":                             false,
		"etcdserver: leader changed": false,
	} {
		if got := isOutdated(apierrors.NewInternalError(errors.New(text))); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
	if isOutdated(nil) || isOutdated(apierrors.NewBadRequest("failed to convert: field not declared in schema")) {
		t.Error("another error")
	}
}

func TestManagedFieldsAreMovedToTheAppliedVersionOnce(t *testing.T) {
	of := func(version string, entry metav1.ManagedFieldsEntry) metav1.ManagedFieldsEntry {
		entry.APIVersion = version
		return entry
	}
	entries := []metav1.ManagedFieldsEntry{
		of("x/v1alpha1", fields("belay", apply, "", `{"f:spec":{"f:a":{}}}`)),
		of("x/v1", fields("lens", update, "", `{"f:spec":{"f:b":{}}}`)),
		of("x/v1alpha1", fields("lens", update, "", `{"f:spec":{"f:c":{}}}`)),
		of("x/v1alpha1", fields("lens", update, "status", `{"f:status":{}}`)),
	}
	move := updating(schema.GroupVersion{Group: "x", Version: "v1"})
	moved, changed, err := move(entries)
	if err != nil || !changed {
		t.Fatalf("changed %t: %v", changed, err)
	}
	want := []string{`belay Apply  {"f:spec":{"f:a":{}}}`, `lens Update  {"f:spec":{"f:b":{},"f:c":{}}}`, `lens Update status {"f:status":{}}`}
	if diff := cmp.Diff(want, summary(moved)); diff != "" {
		t.Error(diff)
	}
	for _, entry := range moved {
		if entry.APIVersion != "x/v1" {
			t.Errorf("%s is of %s", entry.Manager, entry.APIVersion)
		}
	}
	if _, changed, _ := move(moved); changed {
		t.Error("they are moved twice")
	}
}
