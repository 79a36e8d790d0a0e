// FAULTS, Rollback: StatefulSet stuck on an unready pod.

package cluster

// FAULTS "Rollback": a StatefulSet that is stuck on an unready pod of the refused revision (kubernetes#67250).

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// theirs is a pod of a StatefulSet. "ready", "leaving" and "crashing" say how it is.
func theirs(name, revision string, is ...string) *corev1.Pod {
	p := aPod(name, 0, is...)
	if p.Labels["crashing"] != "" {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{after(waiting("CrashLoopBackOff"), 5, ended(1))}
	}
	p.Labels["controller-revision-hash"] = revision
	return p
}

func TestOfAStatefulSetThePodsThatHoldItUpAreDeleted(t *testing.T) {
	const plain = `spec: {replicas: 3}, status: {updateRevision: good}`
	for _, test := range []struct {
		name string
		set  string
		pods []*corev1.Pod
		back bool
		want []string
	}{
		{"on the way back the one that is not ready", plain, []*corev1.Pod{theirs("db-2", "bad"), theirs("db-1", "good", "ready")}, true, []string{"db-2"}},
		{"on the way back the one that crashes", plain, []*corev1.Pod{theirs("db-2", "bad", "crashing")}, true, []string{"db-2"}},
		{"not one that is ready: its controller replaces it", plain, []*corev1.Pod{theirs("db-2", "bad", "ready")}, true, nil},
		{"not one of the revision to go to", plain, []*corev1.Pod{theirs("db-2", "good"), theirs("db-1", "good", "crashing")}, true, nil},
		{"not one that is on its way out", plain, []*corev1.Pod{theirs("db-2", "bad", "leaving")}, true, nil},
		{"on the way forward not one that may get ready yet", plain, []*corev1.Pod{theirs("db-2", "bad")}, false, nil},
		{"on the way forward one that has failed", plain, []*corev1.Pod{theirs("db-2", "bad", "crashing")}, false, []string{"db-2"}},
		{"none that is replaced by hand", `spec: {replicas: 3, updateStrategy: {type: OnDelete}}, status: {updateRevision: good}`,
			[]*corev1.Pod{theirs("db-2", "bad", "crashing")}, true, nil},
		{"none below the partition", `spec: {replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}}, status: {updateRevision: good}`,
			[]*corev1.Pod{theirs("db-2", "bad"), theirs("db-1", "bad")}, true, []string{"db-2"}},
		{"nor below it where the ordinals begin later", `spec: {replicas: 3, ordinals: {start: 10}, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}}, status: {updateRevision: good}`,
			[]*corev1.Pod{theirs("db-10", "bad"), theirs("db-11", "bad")}, true, []string{"db-11"}},
		{"none before its controller has named a revision", `spec: {replicas: 3}`, []*corev1.Pod{theirs("db-2", "bad")}, true, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, ok := workloadOf(live(t, `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: shop}, `+test.set+`}`))
			if !ok {
				t.Fatal("it is no workload")
			}
			var got []string
			for _, pod := range w.stuck(test.pods, test.back) {
				got = append(got, pod.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
