package cluster

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// aPod is one of a workload: "stale", "ready", "proven" and "leaving" say how it is.
func aPod(name string, age time.Duration, is ...string) *corev1.Pod {
	p := &corev1.Pod{}
	p.Name, p.Labels = name, map[string]string{}
	p.CreationTimestamp = metav1.NewTime(time.Unix(100_000, 0).Add(-age))
	for _, what := range is {
		p.Labels[what] = "yes"
	}
	if p.Labels["ready"] != "" {
		p.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
		}
	}
	if p.Labels["leaving"] != "" {
		p.DeletionTimestamp = &p.CreationTimestamp
	}
	return p
}

func TestStalePodsAreReplacedOneAfterAnother(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	has := func(what string) func(*corev1.Pod) bool {
		return func(p *corev1.Pod) bool { return p.Labels[what] != "" }
	}
	for _, test := range []struct {
		name   string
		pods   []*corev1.Pod
		wanted int
		want   string
	}{
		{"none when there are none", nil, 2, ""},
		{"none when all are current", []*corev1.Pod{aPod("a", hour, "ready", "proven"), aPod("b", hour)}, 2, ""},
		{"the oldest when all serve", []*corev1.Pod{aPod("a", minute, "stale", "ready"), aPod("b", hour, "stale", "ready"), aPod("c", minute, "stale", "ready")}, 3, "b"},
		{"none while one of them is missing", []*corev1.Pod{aPod("a", minute, "stale", "ready"), aPod("b", hour, "stale", "ready")}, 3, ""},
		{"none while the successor starts", []*corev1.Pod{aPod("a", hour, "stale", "ready"), aPod("b", minute)}, 2, ""},
		{"none while the successor has not proved itself", []*corev1.Pod{aPod("a", hour, "stale", "ready"), aPod("b", minute, "ready")}, 2, ""},
		{"the next once it has", []*corev1.Pod{aPod("a", hour, "stale", "ready"), aPod("b", minute, "ready", "proven")}, 2, "a"},
		{"none while one is on its way out", []*corev1.Pod{aPod("a", hour, "stale", "ready", "leaving"), aPod("b", hour, "stale", "ready"), aPod("c", hour, "stale", "ready")}, 2, ""},
		{"one that is not ready first, for it serves nobody", []*corev1.Pod{aPod("a", hour, "stale", "ready"), aPod("b", minute, "stale")}, 2, "b"},
		{"such a one even while a successor starts", []*corev1.Pod{aPod("a", minute), aPod("b", hour, "stale")}, 2, "b"},
		{"the oldest where more serve than are wanted", []*corev1.Pod{aPod("a", minute, "stale", "ready"), aPod("b", hour, "stale", "ready")}, 0, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if next := nextStale(test.pods, has("stale"), has("proven"), test.wanted); next != nil {
				got = next.Name
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestReadyIsWhatTheConditionSays(t *testing.T) {
	if !ready(aPod("a", 0, "ready")) || ready(aPod("a", 0)) {
		t.Error("the condition is not heeded")
	}
	not := aPod("a", 0, "ready")
	not.Status.Conditions[1].Status = corev1.ConditionUnknown
	if ready(not) {
		t.Error("unknown counts as ready")
	}
}
