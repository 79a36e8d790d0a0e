package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// live is an object as the API server answers it: integers are integers.
func live(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	return u
}

const aDeployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, generation: 2}, spec: {replicas: 2}, status: `

func TestOnlyPodsOfTheNewestRevisionAreJudged(t *testing.T) {
	labelled := func(name, key, value string) *corev1.Pod {
		p := &corev1.Pod{}
		p.Name, p.Labels, p.Annotations = name, map[string]string{key: value}, map[string]string{key: value}
		return p
	}
	leaving := labelled("leaving", "pod-template-hash", "new")
	leaving.DeletionTimestamp = &metav1.Time{}
	for _, test := range []struct {
		name, text string
		pods       podsOf
		want       []string
	}{
		{"of a Deployment those of the newest ReplicaSet", aDeployment + "{observedGeneration: 2}}",
			podsOf{newest: newestSet{hash: "new"}, pods: []*corev1.Pod{labelled("a", "pod-template-hash", "old"), labelled("b", "pod-template-hash", "new"), leaving}}, []string{"b"}},
		{"of a Deployment whose newest ReplicaSet is not known none", aDeployment + "{observedGeneration: 2}}",
			podsOf{pods: []*corev1.Pod{labelled("a", "pod-template-hash", "old"), labelled("b", "x", "y")}}, nil},
		{"of a StatefulSet those of the update revision", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, status: {updateRevision: db-2, currentRevision: db-1}}",
			podsOf{pods: []*corev1.Pod{labelled("a", "controller-revision-hash", "db-1"), labelled("b", "controller-revision-hash", "db-2")}}, []string{"b"}},
		{"of a ReplicationController those that bear the template's mark",
			`{apiVersion: v1, kind: ReplicationController, metadata: {name: a}, spec: {selector: {a: b}, template: {metadata: {annotations: {belay.dev/template: two}}}}}`,
			podsOf{pods: []*corev1.Pod{labelled("a", manifests.AnnotationTemplate, "one"), labelled("b", manifests.AnnotationTemplate, "two"), labelled("c", "x", "y")}}, []string{"b"}},
		{"of a ReplicationController without a mark all", `{apiVersion: v1, kind: ReplicationController, metadata: {name: a}, spec: {selector: {a: b}}}`,
			podsOf{pods: []*corev1.Pod{labelled("a", "x", "y")}}, []string{"a"}},
		{"of a Job all", `{apiVersion: batch/v1, kind: Job, metadata: {name: a}}`, podsOf{pods: []*corev1.Pod{labelled("a", "x", "y")}}, []string{"a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, ok := workloadOf(live(t, test.text))
			if !ok {
				t.Fatal("it is no workload")
			}
			var got []string
			for _, p := range w.current(test.pods) {
				got = append(got, p.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPodsAreFoundByTheWorkloadsSelector(t *testing.T) {
	for text, want := range map[string]string{
		`{apiVersion: v1, kind: ReplicationController, metadata: {name: a}, spec: {selector: {app: a, b: c}}}`:                                      "app=a,b=c",
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: {app: a}}}}`:                                   "app=a",
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchExpressions: [{key: a, operator: In, values: [b]}]}}}`: "a in (b)",
	} {
		if w, ok := workloadOf(live(t, text)); !ok || w.selector.String() != want {
			t.Errorf("%s: got %s", text, w.selector)
		}
	}
	for _, text := range []string{
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}`,
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchLabels: text}}}`,
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {selector: {matchExpressions: [{key: a, operator: Rubbish}]}}}`,
	} {
		if w, ok := workloadOf(live(t, text)); ok && !w.selector.Empty() && w.selector.String() != "" {
			t.Errorf("%s: got %s", text, w.selector)
		} else if ok && w.selector.Matches(nil) {
			t.Errorf("%s: picks every pod", text)
		}
	}
	for _, text := range []string{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`, `{apiVersion: example.org/v1, kind: Deployment, metadata: {name: a}}`} {
		if _, ok := workloadOf(live(t, text)); ok {
			t.Errorf("%s is taken for a workload", text)
		}
	}
}

func TestPreciousKindsStayUnlessTheySayOtherwise(t *testing.T) {
	for text, want := range map[string]bool{
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`:                                           false,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {belay.dev/prune: disabled}}}`: true,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {belay.dev/prune: rubbish}}}`:  false,
		`{apiVersion: v1, kind: Namespace, metadata: {name: a}}`:                                           true,
		`{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {belay.dev/prune: rubbish}}}`:  true,
		`{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {belay.dev/prune: enabled}}}`:  false,
		`{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {belay.dev/prune: disabled}}}`: true,
		`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}}`:                               true,
		`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}}`:                                    true,
		`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}}`:       true,
		`{apiVersion: apiextensions.k8s.io/v1beta1, kind: CustomResourceDefinition, metadata: {name: a}}`:  true,
		`{apiVersion: example.org/v1, kind: Namespace, metadata: {name: a}}`:                               false,
	} {
		if got := stays(live(t, text)); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

func TestTheEssenceOfAnObjectIsWhatSomebodyAskedFor(t *testing.T) {
	u := live(t, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: x, labels: {a: b}, resourceVersion: "1", generation: 2, managedFields: [{manager: x}]}, spec: {a: b}, status: {c: d}}`)
	before := u.DeepCopy()
	want := live(t, `{apiVersion: v1, kind: Service, metadata: {name: a, uid: x, labels: {a: b}}, spec: {a: b}}`).Object
	if diff := cmp.Diff(want, essence(u)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, u); diff != "" {
		t.Error("it was changed:", diff)
	}
}

func TestWhatASetBrings(t *testing.T) {
	s := set(t,
		live(t, `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: dbs.example.org}, spec: {group: example.org, names: {kind: Db}, scope: Cluster}}`).Object,
		live(t, `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`).Object,
		live(t, `{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: cart, namespace: shop}}`).Object,
	)
	if diff := cmp.Diff(map[kind]string{{Group: "example.org", Kind: "Db"}: "Cluster"}, definitions(s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"v1beta1"}, versions(s)[kind{Group: "apps", Kind: "Deployment"}]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]bool{"shop": true}, namespacesOf(s.IDs())); diff != "" {
		t.Error(diff)
	}
}

func TestABindingNeedsItsRole(t *testing.T) {
	const rbac = "rbac.authorization.k8s.io"
	for text, want := range map[string]manifests.ID{
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, namespace: shop}, roleRef: {apiGroup: x, kind: Role, name: r}}`:        {Group: rbac, Kind: "Role", Namespace: "shop", Name: "r"},
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, namespace: shop}, roleRef: {apiGroup: x, kind: ClusterRole, name: r}}`: {Group: rbac, Kind: "ClusterRole", Name: "r"},
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, roleRef: {kind: Role, name: r}}`:                                                                  {},
	} {
		if got := boundRole(set(t, live(t, text).Object).Objects()[0]); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
}

func TestAWorkloadIsObservedWhenItsControllerHasSeenIt(t *testing.T) {
	for text, want := range map[string]bool{
		aDeployment + "{observedGeneration: 2}}": true,
		aDeployment + "{observedGeneration: 1}}": false,
		aDeployment + "{}}":                      true,
		`{apiVersion: v1, kind: Pod, metadata: {name: a, generation: 2}, status: {observedGeneration: 1}}`: true,
	} {
		if w, _ := workloadOf(live(t, text)); w.isObserved() != want {
			t.Errorf("%s: got %t", text, !want)
		}
	}
}

// A Deployment that goes back has its deadline's condition of the template before for a moment.
func TestTheDeadlineOfAnotherReplicaSetDoesNotCount(t *testing.T) {
	const missed = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, uid: cart}, spec: {replicas: 1, selector: {matchLabels: {a: b}}},
		status: {replicas: 1, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: 'ReplicaSet "cart-bad" has timed out progressing.'}]}}`
	for newest, want := range map[string]manifests.Condition{"cart-bad": manifests.Unhealthy, "cart-good": manifests.Progressing, "": manifests.Progressing} {
		u := live(t, missed)
		w, _ := workloadOf(u)
		got := look{}.behind(t.Context(), w, podsOf{newest: newestSet{name: newest}, memory: newPodMemory()}, health.Of(u, health.Rules{}))
		if got.Condition != want {
			t.Errorf("%q: got %+v", newest, got)
		}
	}
}
