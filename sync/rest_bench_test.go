package sync

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// BenchmarkAPassAtRest is what a watch's call costs where there is nothing to do: a Sync of four objects, with as many
// releases as it keeps.
func BenchmarkAPassAtRest(b *testing.B) {
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	a := newAgent(b, w)
	a.spec.Health.StableFor = metav1.Duration{}
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"} {
		a.push("v"+n, config("vars", n), config("more", "1"), config("still", "1"), web("cart", "acme/cart:1"))
		a.poll()
		a.until("v"+n, manifests.Kept)
	}
	a.settle()
	resource := &v1alpha1.Sync{Spec: a.spec, Status: a.status}
	resource.Annotations = a.asked
	b.ReportAllocs()
	for b.Loop() {
		a.calls = a.calls[:0]
		want := WantOf(resource)
		out := a.syncer.Sync(b.Context(), want)
		status := out.Status(resource.Status, a.gen, a.now)
		out.Answer(want, &status)
		if KeepBack(resource.Status, status) > time.Second {
			b.Fatal("it is kept back for long")
		}
	}
}
