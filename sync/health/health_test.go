package health

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
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

func TestGeneralHealth(t *testing.T) {
	const healthy, progressing, failed = manifests.Healthy, manifests.Progressing, manifests.Unhealthy
	for _, test := range []struct {
		name string
		text string
		want manifests.Condition
	}{
		{"a Deployment that is done", aDeployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2,
			conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True", reason: NewReplicaSetAvailable}]}}`, healthy},
		{"one whose controller has not seen the change", aDeployment + `{observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2}}`, progressing},
		{"one with old pods", aDeployment + `{observedGeneration: 2, replicas: 3, updatedReplicas: 2, readyReplicas: 3, availableReplicas: 3}}`, progressing},
		{"one that has updated fewer than wanted", aDeployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2}}`, progressing},
		{"one with pods that are not available", aDeployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 1, availableReplicas: 1}}`, progressing},
		{"one past its deadline", aDeployment + `{observedGeneration: 2, replicas: 2, updatedReplicas: 1,
			conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, failed},
		{"one with zero replicas", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, generation: 2}, spec: {replicas: 0},
			status: {observedGeneration: 2, conditions: [{type: Available, status: "True"}]}}`, healthy},
		{"one that is being deleted", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, deletionTimestamp: "2026-01-02T03:04:05Z"}}`, progressing},
		{"a Service that waits for an address for ever", `{apiVersion: v1, kind: Service, metadata: {name: cart}, spec: {type: LoadBalancer}, status: {loadBalancer: {}}}`, progressing},
		{"an Ingress without one", `{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: cart}, status: {loadBalancer: {}}}`, progressing},
		{"a Service of Knative, which has conditions", `{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: cart}, status: {conditions: [{type: Ready, status: "Unknown", reason: X, message: why}]}}`, progressing},
		{"a Job that failed", `{apiVersion: batch/v1, kind: Job, metadata: {name: seed}, status: {conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, failed},
		{"a Job that is done", `{apiVersion: batch/v1, kind: Job, metadata: {name: seed}, status: {startTime: x, succeeded: 1, conditions: [{type: Complete, status: "True"}]}}`, healthy},
		{"a custom resource without a status", `{apiVersion: example.org/v1, kind: Db, metadata: {name: db}}`, healthy},
		{"a custom resource that reconciles", `{apiVersion: example.org/v1, kind: Db, metadata: {name: db}, status: {conditions: [{type: Reconciling, status: "True", reason: X, message: why}]}}`, progressing},
		{"a custom resource that is stalled", `{apiVersion: example.org/v1, kind: Db, metadata: {name: db}, status: {conditions: [{type: Stalled, status: "True", reason: X, message: why}]}}`, failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := live(t, test.text)
			before := u.DeepCopy()
			if got := Of(u, Rules{}); got.Condition != test.want {
				t.Errorf("got %+v, want %s", got, test.want)
			} else if got.Condition != healthy && got.Message == "" || got.Condition == failed && got.Reason == "" {
				t.Errorf("it does not say why: %+v", got)
			}
			if diff := cmp.Diff(before, u); diff != "" {
				t.Error("it was changed:", diff)
			}
		})
	}
}

func TestAStatusOfAWrongTypeIsNeitherAPanicNorAFailure(t *testing.T) {
	for _, kind := range []string{
		"apps/v1, kind: Deployment", "apps/v1, kind: StatefulSet", "apps/v1, kind: DaemonSet", "apps/v1, kind: ReplicaSet", "batch/v1, kind: Job",
		"v1, kind: Pod", "v1, kind: PersistentVolumeClaim", "v1, kind: ReplicationController", "policy/v1, kind: PodDisruptionBudget",
		"apiextensions.k8s.io/v1, kind: CustomResourceDefinition", "example.org/v1, kind: Db", "batch/v1, kind: CronJob",
	} {
		for _, status := range []string{
			"text", "7", "[]", "null", "true", "{conditions: text}", "{conditions: {a: b}}", "{conditions: [text, 7, null]}", "{conditions: [{type: 7, status: true}]}",
			"{observedGeneration: text}", "{observedGeneration: 1.5, replicas: text, phase: {}}", "{phase: 7, containerStatuses: [7]}",
		} {
			for _, spec := range []string{"", ", spec: text", ", spec: {replicas: text}", ", spec: {replicas: 1.5, selector: text, updateStrategy: 7}"} {
				u := live(t, "{apiVersion: "+kind+", metadata: {name: x, generation: 1}, status: "+status+spec+"}")
				if report := Of(u, Rules{}); report.Condition == manifests.Unhealthy {
					t.Errorf("%s with status %s%s: %+v", kind, status, spec, report)
				}
			}
		}
	}
}

func TestWhatHasNoStatusIsToldFromWhatIsOnItsWay(t *testing.T) {
	const head = `{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {name: a}`
	for text, want := range map[string]string{
		head + `}`:             manifests.ReasonNoStatus,
		head + `, status: {}}`: manifests.ReasonNoStatus,
		head + `, status: {observedGeneration: -1}}`: manifests.ReasonNoStatus,
		head + `, status: {observedGeneration: 1}}`:  "",
		head + `, status: {acme: {}}}`:               "",
	} {
		if got := Of(live(t, text), Rules{}); got.Condition != manifests.Progressing || got.Reason != want {
			t.Errorf("%s: %s %q", text, got.Condition, got.Reason)
		}
	}
}
