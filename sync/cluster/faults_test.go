package cluster

// Each of these failed once.

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// inMemory is a cache that answers these pods and ReplicaSets to every question.
type inMemory struct {
	cache.Cache
	pods []corev1.Pod
	sets []metav1.PartialObjectMetadata
}

func (m inMemory) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list := list.(type) {
	case *corev1.PodList:
		list.Items = m.pods
	case *metav1.PartialObjectMetadataList:
		list.Items = m.sets
	}
	return nil
}

// crashing is a pod in a crash loop that bears a label.
func crashing(key, value string) corev1.Pod {
	p := corev1.Pod{}
	p.Name, p.Namespace, p.UID = "cart-1", "shop", "pod"
	p.Labels = map[string]string{"app": "cart", key: value}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{after(waiting("CrashLoopBackOff"), 5, ended(1))}
	return p
}

// Before the controller has seen a change, its status, and the revision that it names, are those of the template
// before. The pods of that one crash; to blame them on the new one refuses every fix of a crashing workload, and
// makes a RollbackFailed of every rollback, whenever a pass comes before the controller.
func TestPodsOfTheTemplateBeforeAreNotBlamedOnTheNewOne(t *testing.T) {
	const revision = "deployment.kubernetes.io/revision"
	set := metav1.PartialObjectMetadata{}
	set.Name, set.Namespace = "cart-old", "shop"
	set.Labels, set.Annotations = map[string]string{"app": "cart", "pod-template-hash": "old"}, map[string]string{revision: "1"}
	yes := true
	set.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: "cart", UID: "cart", Controller: &yes}}

	for name, test := range map[string]struct {
		text  string
		store inMemory
	}{
		"of a Deployment": {
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, namespace: shop, uid: cart, generation: 2, annotations: {` + revision + `: "1"}},
			  spec: {replicas: 1, selector: {matchLabels: {app: cart}}}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, unavailableReplicas: 1}}`,
			inMemory{pods: []corev1.Pod{crashing("pod-template-hash", "old")}, sets: []metav1.PartialObjectMetadata{set}},
		},
		"of a StatefulSet": {
			`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: cart, namespace: shop, generation: 2},
			  spec: {replicas: 1, selector: {matchLabels: {app: cart}}}, status: {observedGeneration: 1, replicas: 1, updateRevision: cart-1, currentRevision: cart-1}}`,
			inMemory{pods: []corev1.Pod{crashing("controller-revision-hash", "cart-1")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := live(t, test.text)
			w, ok := workloadOf(u)
			if !ok {
				t.Fatal("it is no workload")
			}
			l := look{Objects: &Objects{cluster: &Cluster{pods: attending("shop", test.store)}}, closely: true}
			got, err := l.closer(t.Context(), w, health.Of(u, health.Rules{}))
			if err != nil {
				t.Fatal(err)
			}
			if got.Condition != manifests.Progressing {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A DaemonSet's pods bear the generation of its template, not of the whole: that one goes on with every other change
// of the spec. It is in an annotation (k8s.io/kubernetes/pkg/apis/apps/v1/conversion.go).
func TestPodsOfADaemonSetAreFoundAfterAChangeOutsideItsTemplate(t *testing.T) {
	w, _ := workloadOf(live(t, `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: cart, namespace: shop, generation: 3,
		annotations: {deprecated.daemonset.template.generation: "2"}}, spec: {selector: {matchLabels: {app: cart}}}, status: {observedGeneration: 3}}`))
	pod := crashing("pod-template-generation", "2")
	if got := w.current(podsOf{pods: []*corev1.Pod{&pod}}); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

// The pods come from a cache, in any order.
func TestWhichPodIsReplacedDoesNotDependOnTheOrder(t *testing.T) {
	is := func(what string) func(*corev1.Pod) bool {
		return func(p *corev1.Pod) bool { return p.Labels[what] != "" }
	}
	a, b := aPod("a", time.Hour, "stale", "ready", "leaving"), aPod("b", time.Hour, "stale")
	first := nextStale([]*corev1.Pod{a, b}, is("stale"), is("proven"), 2)
	second := nextStale([]*corev1.Pod{b, a}, is("stale"), is("proven"), 2)
	if first != second {
		t.Errorf("one order gives a pod (%t), the other (%t) another or none", first != nil, second != nil)
	}
}

// What refuses the release is the fourth object, and it is not named.
func TestTheErrorThatDecidesIsAmongThoseThatAreNamed(t *testing.T) {
	late := func(name string) error {
		return &Error{Reason: "ClusterUnavailable", Object: name, Detail: "timeout", Temporary: true}
	}
	err := all([]error{late("a"), late("b"), late("c"), &Error{Reason: "Invalid", Object: "d", Detail: "unknown field"}})
	if !strings.Contains(err.Error(), "d: unknown field") {
		t.Errorf("got %q", err)
	}
}
