package cluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

func TestWhatItTakesToTellWhetherAnObjectDiffers(t *testing.T) {
	labels := map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}
	whole := owned(labels, oursFirst, statusWriter)
	whole.SetUID("1")
	changed := func(change func(*unstructured.Unstructured)) *unstructured.Unstructured {
		u := whole.DeepCopy()
		change(u)
		return u
	}
	partial := &metav1.PartialObjectMetadata{}
	partial.SetLabels(labels)
	partial.SetUID("1")
	partial.SetManagedFields([]metav1.ManagedFieldsEntry{oursFirst})
	is, was := digest{1}, digest{2}
	proved := proof{is, marks(whole)}
	with := func(change func(*sighting)) sighting {
		s := sighting{watched: whole, evidence: evidence{wanted: is}, proof: proved, version: true}
		change(&s)
		return s
	}
	for _, test := range []struct {
		name string
		s    sighting
		want effort
	}{
		{"as wanted, and nobody has changed it", with(func(s *sighting) {}), needsNothing},
		{"so, of which the metadata is watched", with(func(s *sighting) { s.watched = partial }), needsNothing},
		{"so, with another status", with(func(s *sighting) {
			s.watched = changed(func(u *unstructured.Unstructured) {
				u.SetManagedFields([]metav1.ManagedFieldsEntry{oursFirst})
				u.SetResourceVersion("9")
			})
		}), needsNothing},
		{"not there", with(func(s *sighting) { s.watched = nil }), needsCreating},
		{"written a moment ago", with(func(s *sighting) { s.stale = true }), needsReading},
		{"written a moment ago, and not seen yet", with(func(s *sighting) { s.stale, s.watched = true, nil }), needsReading},
		{"something else is wanted", with(func(s *sighting) { s.proof.wanted = was }), needsRewriting},
		{"something else, of which the metadata is watched", with(func(s *sighting) { s.proof.wanted, s.watched = was, partial }), needsRewriting},
		{"something else, with autoscaled replicas", with(func(s *sighting) { s.proof.wanted, s.scaled = was, true }), needsComparing},
		{"something else, and fields are left to others", with(func(s *sighting) { s.proof.wanted, s.entries = was, true }), needsReading},
		{"something else, and the account may go", with(func(s *sighting) { s.proof.wanted, s.account = was, true }), needsReading},
		{"fields are left to others, and nobody has changed it", with(func(s *sighting) { s.entries, s.account, s.scaled = true, true, true }), needsNothing},
		{"a field was taken", with(func(s *sighting) {
			s.watched = changed(func(u *unstructured.Unstructured) { u.SetManagedFields([]metav1.ManagedFieldsEntry{oursLess, editor}) })
		}), needsComparing},
		{"a field was added by hand", with(func(s *sighting) {
			s.watched = changed(func(u *unstructured.Unstructured) { u.SetManagedFields([]metav1.ManagedFieldsEntry{oursFirst, editor}) })
		}), needsComparing},
		{"it is another of the same name", with(func(s *sighting) {
			s.watched = changed(func(u *unstructured.Unstructured) { u.SetUID("2") })
		}), needsComparing},
		{"nothing is proved", with(func(s *sighting) { s.proof = proof{} }), needsComparing},
		{"nothing is proved, and it is watched in another version", with(func(s *sighting) { s.proof, s.version = proof{}, false }), needsReading},
		{"nothing is proved, and the metadata is watched", with(func(s *sighting) { s.proof, s.watched = proof{}, partial }), needsReading},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.s.effort(); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestTheMarksOfAnObjectAreTheSameInEveryForm(t *testing.T) {
	labels := map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}
	text := `{"f:spec":{"f:b":{},"f:a":{"k:{\"name\":\"x\"}":{".":{},"f:name":{}}}},"f:metadata":{}}`
	mine := fields("belay", apply, "", text)
	whole := owned(labels, mine, statusWriter)
	partial := &metav1.PartialObjectMetadata{}
	partial.SetLabels(labels)
	partial.SetManagedFields([]metav1.ManagedFieldsEntry{statusWriter, mine})
	kept, err := keepWatchedFields(whole.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	for name, object := range map[string]metav1.Object{"metadata": partial, "kept": kept.(client.Object)} {
		if marks(object) != marks(whole) {
			t.Errorf("%s: other marks", name)
		}
	}
}

func TestWhatIsProved(t *testing.T) {
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	u := owned(map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"}, oursFirst)
	id := watchedID(u)
	set := map[manifests.ID]bool{id: true}
	autoscaler := owned(u.GetLabels(), oursLess, fields("kube-controller-manager", update, "scale", `{"f:spec":{"f:replicas":{}}}`))
	for _, test := range []struct {
		name string
		note func(w *Watches)
		want bool
	}{
		{"an object that was written", func(w *Watches) { w.proved(shop, id, evidence{wanted: digest{1}}, u) }, true},
		{"one of which belay holds nothing", func(w *Watches) { w.proved(shop, id, evidence{wanted: digest{1}}, owned(u.GetLabels(), editor)) }, false},
		{"one without a digest", func(w *Watches) { w.proved(shop, id, evidence{}, u) }, false},
		{"one that other people's autoscaler scales", func(w *Watches) { w.proved(shop, id, evidence{wanted: digest{1}}, autoscaler) }, false},
		{"one that an autoscaler of the set scales", func(w *Watches) { w.proved(shop, id, evidence{digest{1}, true}, autoscaler) }, true},
		{"one that cannot be proved any more", func(w *Watches) {
			w.proved(shop, id, evidence{wanted: digest{1}}, u)
			w.proved(shop, id, evidence{wanted: digest{1}}, autoscaler)
		}, false},
		{"one that is doubted", func(w *Watches) { w.proved(shop, id, evidence{wanted: digest{1}}, u); w.Doubt(shop) }, false},
		{"one of a Sync that is gone", func(w *Watches) { w.proved(shop, id, evidence{wanted: digest{1}}, u); w.Forget(shop) }, false},
		{"one that has left the set for a while", func(w *Watches) {
			w.proved(shop, id, evidence{wanted: digest{1}}, u)
			w.proofs(shop, map[manifests.ID]bool{})
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, _ := noted()
			test.note(w)
			if _, got := w.proofs(shop, set)[id]; got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestWhatIsWantedIsMoreThanTheObject(t *testing.T) {
	base := wantedDigest([]byte(`{}`), "a", []string{"/spec/x"}, false)
	if base != wantedDigest([]byte(`{}`), "a", []string{"/spec/x"}, false) {
		t.Error("the same is not the same")
	}
	for name, other := range map[string]digest{
		"content": wantedDigest([]byte(`{"a":1}`), "a", []string{"/spec/x"}, false),
		"account": wantedDigest([]byte(`{}`), "b", []string{"/spec/x"}, false),
		"ignored": wantedDigest([]byte(`{}`), "a", nil, false),
		"scaled":  wantedDigest([]byte(`{}`), "a", []string{"/spec/x"}, true),
	} {
		if other == base {
			t.Errorf("another %s makes no difference", name)
		}
	}
}
