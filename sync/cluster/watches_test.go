package cluster

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/belay-gitops/belay/manifests"
)

func fields(manager string, operation metav1.ManagedFieldsOperationType, subresource, text string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{
		Manager: manager, Operation: operation, Subresource: subresource, APIVersion: "apps/v1", FieldsType: "FieldsV1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(text)},
	}
}

var (
	oursFirst    = fields("belay", metav1.ManagedFieldsOperationApply, "", `{"f:spec":{"f:replicas":{},"f:template":{}}}`)
	oursLess     = fields("belay", metav1.ManagedFieldsOperationApply, "", `{"f:spec":{"f:template":{}}}`)
	editor       = fields("kubectl-edit", metav1.ManagedFieldsOperationUpdate, "", `{"f:spec":{"f:replicas":{}}}`)
	annotator    = fields("kubectl-annotate", metav1.ManagedFieldsOperationUpdate, "", `{"f:metadata":{"f:annotations":{"f:x":{}}}}`)
	statusWriter = fields("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, "status", `{"f:status":{"f:replicas":{}}}`)
	oursStatus   = fields("belay", metav1.ManagedFieldsOperationApply, "status", `{"f:status":{}}`)
	oursUpdated  = fields("belay", metav1.ManagedFieldsOperationUpdate, "", `{"f:metadata":{}}`)
)

func owned(labels map[string]string, entries ...metav1.ManagedFieldsEntry) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	u.SetName("cart")
	u.SetNamespace("shop")
	u.SetLabels(labels)
	u.SetManagedFields(entries)
	return u
}

func TestDriftIsAChangeOfWhatBelayOwns(t *testing.T) {
	shop := map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team", "app": "cart"}
	elsewhere := map[string]string{manifests.LabelSync: "other", manifests.LabelNamespace: "team"}
	before := owned(shop, oursFirst, statusWriter)
	for _, test := range []struct {
		name string
		now  *unstructured.Unstructured
		want bool
	}{
		{"nothing", owned(shop, oursFirst, statusWriter), false},
		{"a status update by a controller", owned(shop, oursFirst, fields("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, "status", `{"f:status":{}}`)), false},
		{"kubectl edit takes a field over", owned(shop, oursLess, editor, statusWriter), true},
		{"kubectl edit adds a field", owned(shop, oursFirst, fields("kubectl-edit", metav1.ManagedFieldsOperationUpdate, "", `{"f:spec":{"f:paused":{}}}`), statusWriter), true},
		{"a controller adds a field", owned(shop, oursFirst, fields("lens", metav1.ManagedFieldsOperationUpdate, "", `{"f:spec":{"f:paused":{}}}`), statusWriter), false},
		{"kubectl annotate adds one of its own", owned(shop, oursFirst, statusWriter, annotator), false},
		{"a label of somebody else is removed", owned(map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}, oursFirst, statusWriter), false},
		{"all of our fields are taken", owned(shop, editor), true},
		{"the owner's labels are removed", owned(nil, oursFirst, statusWriter), true},
		{"the owner's labels name another", owned(elsewhere, oursFirst, statusWriter), true},
		{"another write of our own name", owned(shop, oursStatus, oursUpdated, oursFirst, statusWriter), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := drift(before, test.now); got != test.want {
				t.Errorf("got %t", got)
			}
			t.Run("and is told the same from what is kept", func(t *testing.T) {
				old, _ := keepWatchedFields(before.DeepCopy())
				now, _ := keepWatchedFields(test.now.DeepCopy())
				if got := drift(old.(*unstructured.Unstructured), now.(*unstructured.Unstructured)); got != test.want {
					t.Errorf("got %t", got)
				}
			})
		})
	}
}

func TestADigestOfBelaysFieldsAndThoseOfPeoplesHandsIsKept(t *testing.T) {
	scaler := fields("kube-controller-manager", metav1.ManagedFieldsOperationUpdate, "scale", `{"f:spec":{"f:replicas":{},"f:x":{}}}`)
	u := owned(map[string]string{"a": "b"}, editor, annotator, oursStatus, oursFirst, statusWriter, oursUpdated, scaler)
	got, err := keepWatchedFields(u.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	const both = `{"f:spec":{"f:replicas":{}}}`
	for range 2 { // what was kept is kept
		kept := got.(*unstructured.Unstructured)
		if watchedFields(kept.GetManagedFields()) != watchedFields(u.GetManagedFields()) {
			t.Error("the digest is another")
		}
		if diff := cmp.Diff([]string{"belay Apply  " + both, "kube-controller-manager Update scale " + both}, summary(kept.GetManagedFields()[1:])); diff != "" {
			t.Error(diff)
		}
		if !ownFields(kept.GetManagedFields()).Has(replicasField) || !scaled(kept.GetManagedFields()) {
			t.Error("who holds the replicas is forgotten")
		}
		if got, err = keepWatchedFields(kept); err != nil {
			t.Fatal(err)
		}
	}
	other := toolscache.DeletedFinalStateUnknown{Key: "x"}
	if got, err := keepWatchedFields(other); err != nil || got != any(other) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"9", "10", true}, {"10", "9", false}, {"10", "10", false},
		{"18446744073709551614", "18446744073709551615", true},
		{"x", "y", true}, {"x", "x", false}, {"", "5", true}, {"5", "", true}, {"", "", false},
	} {
		if got := older(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: got %t", test.a, test.b, got)
		}
	}
}

// noted is a Watches that hears of things without an API server.
func noted() (*Watches, *[]types.NamespacedName) {
	called := &[]types.NamespacedName{}
	return &Watches{
		notify: func(n types.NamespacedName) { *called = append(*called, n) },
		wrote:  map[manifests.ID]string{}, suspects: map[types.NamespacedName]map[manifests.ID]string{},
		finished: map[manifests.ID]bool{}, replaced: map[types.UID]bool{}, judged: map[types.NamespacedName]*steadiness{},
		proven: map[types.NamespacedName]map[manifests.ID]proof{},
	}, called
}

func TestBelaysOwnWritesAreNoDrift(t *testing.T) {
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	labels := map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}
	id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	version := func(u *unstructured.Unstructured, v string) *unstructured.Unstructured {
		u.SetResourceVersion(v)
		return u
	}
	old := version(owned(labels, oursFirst), "10")
	changed := func(v string) *unstructured.Unstructured { return version(owned(labels, oursLess, editor), v) }
	for _, test := range []struct {
		name   string
		happen func(w *Watches)
		want   bool
	}{
		{"a change by somebody", func(w *Watches) { w.updated(old, changed("11")) }, true},
		{"a change by us", func(w *Watches) { w.Wrote(shop, id, "11"); w.updated(old, changed("11")) }, false},
		{"a change by us, heard of before its answer", func(w *Watches) { w.updated(old, changed("11")); w.Wrote(shop, id, "11") }, false},
		{"a change by somebody after ours", func(w *Watches) { w.Wrote(shop, id, "11"); w.updated(old, changed("12")) }, true},
		{"a change by somebody before ours", func(w *Watches) { w.updated(old, changed("11")); w.Wrote(shop, id, "12") }, false},
		{"a deletion by somebody", func(w *Watches) { w.deleted(old) }, true},
		{"a deletion by somebody, heard of late", func(w *Watches) { w.deleted(toolscache.DeletedFinalStateUnknown{Key: "x", Obj: old}) }, true},
		{"a deletion by somebody after our write", func(w *Watches) { w.Wrote(shop, id, "10"); w.deleted(old) }, true},
		{"a deletion by us", func(w *Watches) { w.Wrote(shop, id, ""); w.deleted(old) }, false},
		{"a deletion by somebody after ours was refused", func(w *Watches) { w.Wrote(shop, id, ""); w.NotDeleted(id, old.GetUID()); w.deleted(old) }, true},
		{"a deletion by somebody after ours", func(w *Watches) { w.Wrote(shop, id, ""); w.deleted(old); w.deleted(old) }, true},
		{"a deletion by somebody of what could not be made anew", func(w *Watches) {
			w.Replacing(old.GetUID())
			w.NotDeleted(id, old.GetUID())
			w.deleted(old)
		}, true},
		{"a label that says it is another Sync's", func(w *Watches) {
			other := changed("11")
			other.SetLabels(map[string]string{manifests.LabelSync: "thief", manifests.LabelNamespace: "team"})
			w.updated(old, other)
		}, true},
		{"a status update", func(w *Watches) { w.updated(old, version(owned(labels, oursFirst, statusWriter), "11")) }, false},
		{"the same again", func(w *Watches) { w.updated(old, old) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := noted()
			test.happen(w)
			if got := w.Drifted(shop); got != test.want {
				t.Errorf("got %t", got)
			}
			if w.Drifted(shop) {
				t.Error("it is told twice")
			}
			if w.Drifted(types.NamespacedName{Namespace: "team", Name: "other"}) {
				t.Error("another Sync is told too")
			}
		})
	}
}

func TestEachChangeCallsTheOwner(t *testing.T) {
	labels := map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}
	w, called := noted()
	first := owned(labels, oursFirst)
	first.SetResourceVersion("1")
	second := first.DeepCopy()
	second.SetResourceVersion("2")
	w.added(first, true)     // of the first list
	w.updated(first, first)  // a resync
	w.added(first, false)    // 1
	w.updated(first, second) // 2
	w.deleted(second)        // 3
	w.deleted("rubbish")
	w.updated("rubbish", 7)
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	if diff := cmp.Diff([]types.NamespacedName{shop, shop, shop}, *called); diff != "" {
		t.Error(diff)
	}
}

func TestAWatchBehindOurOwnWriteIsStale(t *testing.T) {
	id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	at := func(v string) *unstructured.Unstructured { u := owned(nil); u.SetResourceVersion(v); return u }
	w, _ := noted()
	if w.Stale(id, at("1")) || w.Stale(id, nil) {
		t.Error("stale although we never wrote")
	}
	w.Wrote(types.NamespacedName{}, id, "10")
	if !w.Stale(id, nil) || !w.Stale(id, at("9")) {
		t.Error("not stale although it is behind")
	}
	if w.Stale(id, at("10")) || w.Stale(id, at("11")) {
		t.Error("stale although it has caught up")
	}
	w.Wrote(types.NamespacedName{}, id, "")
	if w.Stale(id, at("11")) {
		t.Error("stale after a deletion")
	}
}

func TestAFinishedJobThatGoesIsNoDrift(t *testing.T) {
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	id := manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed"}
	of := func(conditions string) *unstructured.Unstructured {
		u := live(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: seed, namespace: shop, resourceVersion: "7"}, status: {conditions: `+conditions+`}}`)
		u.SetLabels(map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"})
		return u
	}
	for conditions, finished := range map[string]bool{
		`[{type: SuccessCriteriaMet, status: "True"}, {type: Complete, status: "True"}]`: true,
		`[{type: Complete, status: "False"}]`:                                            false,
		`[{type: Failed, status: "True"}]`:                                               false,
		`[]`:                                                                             false,
		`text`:                                                                           false,
	} {
		w, called := noted()
		w.deleted(of(conditions))
		if w.Finished(id) != finished || w.Drifted(shop) == finished || len(*called) != 1 {
			t.Errorf("%s: finished %t, drifted %t, called %v", conditions, w.Finished(id), !finished, *called)
		}
	}
	w, _ := noted()
	w.deleted(of(`[{type: Complete, status: "True"}]`))
	w.Wrote(shop, id, "8")
	if w.Finished(id) {
		t.Error("it is finished although it was written again")
	}
}

// An object that belay deletes to make it anew is no drift, whichever comes first, its end or the note of its successor.
func TestAnObjectThatIsMadeAnewIsNoDrift(t *testing.T) {
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	old := owned(map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}, oursFirst)
	old.SetUID("old")
	old.SetResourceVersion("5")
	for _, late := range []bool{false, true} {
		w := &Watches{
			notify: func(types.NamespacedName) {}, wrote: map[manifests.ID]string{}, replaced: map[types.UID]bool{},
			suspects: map[types.NamespacedName]map[manifests.ID]string{}, finished: map[manifests.ID]bool{},
		}
		w.Replacing("old")
		if late {
			w.Wrote(shop, watchedID(old), "7")
		}
		w.deleted(old)
		w.Wrote(shop, watchedID(old), "7")
		if w.Drifted(shop) {
			t.Errorf("late %t: its end is drift", late)
		}
		successor := old.DeepCopy()
		successor.SetUID("new")
		successor.SetResourceVersion("7")
		w.deleted(successor)
		if !w.Drifted(shop) {
			t.Errorf("late %t: the end of its successor is none", late)
		}
	}
}

func TestFinishedJobsAreForgottenInTheEnd(t *testing.T) {
	w, _ := noted()
	done := func(name string) manifests.ID {
		u := live(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: x, namespace: shop}, status: {conditions: [{type: Complete, status: "True"}]}}`)
		u.SetName(name)
		w.deleted(u)
		return watchedID(u)
	}
	first := done("first")
	for i := range mostFinished {
		done(fmt.Sprint("next-", i))
	}
	if !w.Finished(first) {
		t.Error("one of the last is forgotten")
	}
	for i := range mostFinished {
		done(fmt.Sprint("last-", i))
	}
	if w.Finished(first) || len(w.finished)+len(w.finishedBefore) > 2*mostFinished {
		t.Errorf("%d are remembered", len(w.finished)+len(w.finishedBefore))
	}
}
