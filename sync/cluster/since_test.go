// FAULTS, Health: flapping between two passes.

package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"testing/synctest"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// An object that was unhealthy between two passes has not been healthy all the time, though no pass saw it.
func TestABreakBetweenTwoPassesCounts(t *testing.T) {
	shop := types.NamespacedName{Namespace: "team", Name: "shop"}
	id := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	at := func(version, available string) *unstructured.Unstructured {
		u := live(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, namespace: shop, generation: 1}, spec: {replicas: 2},
			status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: `+available+`, availableReplicas: `+available+`,
			conditions: [{type: Available, status: "True"}]}}`)
		u.SetLabels(map[string]string{manifests.LabelSync: "shop", manifests.LabelNamespace: "team"})
		u.SetResourceVersion(version)
		return u
	}
	fine := manifests.Health{ID: id, Condition: manifests.Healthy}
	for _, test := range []struct {
		name    string
		happens func(w *Watches)
		excused bool
		want    time.Duration // how long after the beginning it has been healthy since
	}{
		{"nothing happens", func(*Watches) {}, false, 0},
		{"its status is written, and is as good", func(w *Watches) { w.updated(at("1", "2"), at("2", "2")) }, false, 0},
		{"a pod is lost and comes back", func(w *Watches) {
			w.updated(at("1", "2"), at("2", "1"))
			time.Sleep(time.Second)
			w.updated(at("2", "1"), at("3", "2"))
		}, false, 2 * time.Second},
		{"a pod is lost that came later", func(w *Watches) {
			w.updated(at("1", "2"), at("2", "1"))
			time.Sleep(time.Second)
			w.updated(at("2", "1"), at("3", "2"))
		}, true, 0},
		{"it is written", func(w *Watches) { w.Wrote(shop, id, "2"); w.updated(at("1", "2"), at("2", "2")) }, false, time.Second},
		{"it is deleted, and made anew", func(w *Watches) {
			w.deleted(at("1", "2"))
			time.Sleep(time.Second)
			w.added(at("5", "2"), false)
		}, false, 2 * time.Second},
		{"it is another Sync's", func(w *Watches) {
			other := at("2", "1")
			other.SetLabels(map[string]string{manifests.LabelSync: "other", manifests.LabelNamespace: "team"})
			w.updated(other, other)
		}, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := noted()
				w.judging(shop, health.Rules{})
				begun := time.Now()
				if got := w.steady(shop, fine, test.excused); !got.Equal(begun) {
					t.Fatalf("at first since %s", got.Sub(begun))
				}
				time.Sleep(time.Second)
				test.happens(w)
				time.Sleep(time.Second)
				if got := w.steady(shop, fine, test.excused).Sub(begun); got != test.want {
					t.Errorf("healthy since %s, want %s", got, test.want)
				}
			})
		})
	}
	t.Run("what a pass finds is a break, too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, _ := noted()
			w.judging(shop, health.Rules{})
			w.steady(shop, fine, false)
			bad := progressing("", "a pod of it")
			bad.ID = id
			if got := w.steady(shop, bad, false); !got.IsZero() {
				t.Errorf("on its way since %s", got)
			}
			time.Sleep(time.Second)
			if got := w.steady(shop, fine, false); !got.Equal(time.Now()) {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("nothing is kept of a Sync that is settled", func(t *testing.T) {
		w, _ := noted()
		w.judging(shop, health.Rules{})
		w.steady(shop, fine, false)
		w.settled(shop)
		w.updated(at("1", "2"), at("2", "2"))
		if got := w.steady(shop, fine, false); !got.IsZero() || len(w.judged) > 0 {
			t.Errorf("got %s", got)
		}
	})
}

func TestWhatIsRememberedOfAPod(t *testing.T) {
	begun := time.Unix(1000, 0)
	with := func(ready bool, restarts int32, version string) *corev1.Pod {
		p := aPod("cart-1", 0)
		if ready {
			p = aPod("cart-1", 0, "ready")
		}
		p.UID, p.ResourceVersion = "pod", version
		p.Status.ContainerStatuses = []corev1.ContainerStatus{after(running(), restarts, corev1.ContainerState{})}
		return p
	}
	for _, test := range []struct {
		name  string
		seen  []*corev1.Pod // one each second
		broke time.Duration // after the first; 0 for never
		ready time.Duration // for how long, at the last; -1 for not
	}{
		{"it gets ready", []*corev1.Pod{with(false, 0, "1"), with(true, 0, "2"), with(true, 0, "3")}, 0, time.Second},
		{"it is not ready for a moment", []*corev1.Pod{with(true, 0, "1"), with(false, 0, "2"), with(true, 0, "3"), with(true, 0, "4")}, time.Second, time.Second},
		{"it restarts so fast that it seems ready", []*corev1.Pod{with(true, 0, "1"), with(true, 1, "2"), with(true, 1, "3")}, time.Second, time.Second},
		{"it restarted before it was looked at", []*corev1.Pod{with(true, 7, "1"), with(true, 7, "2")}, 0, time.Second},
		{"what is older comes later, from another watch", []*corev1.Pod{with(true, 0, "5"), with(false, 0, "4")}, 0, time.Second},
		{"it is not ready any more", []*corev1.Pod{with(true, 0, "1"), with(false, 0, "2")}, time.Second, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newPodMemory()
			now := begun
			for i, pod := range test.seen {
				now = begun.Add(time.Duration(i) * time.Second)
				m.note(pod, now)
			}
			pods := test.seen[:1]
			if got := m.lastBreak(pods); test.broke == 0 != got.IsZero() || test.broke > 0 && got.Sub(begun) != test.broke {
				t.Errorf("broke at %s", got)
			}
			got, is := m.readyFor(pods, now)["pod"]
			if is != (test.ready >= 0) || is && got != test.ready {
				t.Errorf("ready for %s, %t", got, is)
			}
			m.forget("pod")
			if len(m.pods) > 0 {
				t.Error("it is remembered although it is gone")
			}
		})
	}
	t.Run("since when no node takes it, until one does", func(t *testing.T) {
		m, p := newPodMemory(), with(false, 0, "1")
		p.Status.ContainerStatuses = nil
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable"}}
		m.note(p, begun)
		m.note(p, begun.Add(time.Second))
		if s := m.sight(p, begun); !s.unschedulable.Equal(begun) || s.revision.scheduled || s.revision.ran {
			t.Errorf("got %+v", s)
		}
		p.Spec.NodeName, p.Status.Conditions = "n", nil
		m.note(p, begun.Add(2*time.Second))
		if s := m.sight(p, begun); !s.unschedulable.IsZero() || !s.revision.scheduled {
			t.Errorf("got %+v", s)
		}
		m.forget(p.UID)
		if s := m.sight(p, begun); !s.revision.scheduled {
			t.Error("that its revision was scheduled is forgotten with the pod")
		}
	})
}
