package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// outline is a tree with two spaces for each step down.
func outline(branches []Branch, indent string) string {
	var text strings.Builder
	for _, b := range branches {
		old := ""
		if b.Outdated {
			old = " old"
		}
		fmt.Fprintf(&text, "%s%s/%s%s %s %s\n", indent, b.Health.ID.Kind, b.Health.ID.Name, old, b.Health.Condition, b.Health.Reason)
		text.WriteString(outline(b.Branches, indent+"  "))
	}
	return strings.ReplaceAll(text.String(), " \n", "\n")
}

func TestTheTreeLeadsFromObjectsToTheirPods(t *testing.T) {
	object := func(kind, name, owner, rest string) *unstructured.Unstructured {
		version, word, _ := strings.Cut(kind, "|")
		owned := ""
		if owner != "" {
			owned = fmt.Sprintf(", ownerReferences: [{apiVersion: v1, kind: Any, name: any, uid: %s, controller: true}]", owner)
		}
		return live(t, fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {namespace: shop, name: %s, uid: %s%s%s", version, word, name, name, owned, rest))
	}
	const running = `}, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`
	there := []*unstructured.Unstructured{
		object("apps/v1|Deployment", "web", "", `, generation: 2, annotations: {deployment.kubernetes.io/revision: "2"}}, spec: {replicas: 1, selector: {matchLabels: {app: web}}},
			status: {observedGeneration: 2, replicas: 2, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1}}`),
		object("apps/v1|ReplicaSet", "web-gone", "web", `, labels: {pod-template-hash: gone}, annotations: {deployment.kubernetes.io/revision: "0"}}, spec: {replicas: 0}}`),
		object("apps/v1|ReplicaSet", "web-a-old", "web", `, labels: {pod-template-hash: old}, annotations: {deployment.kubernetes.io/revision: "1"}}, spec: {replicas: 1}, status: {replicas: 1, readyReplicas: 1, availableReplicas: 1, fullyLabeledReplicas: 1}}`),
		object("apps/v1|ReplicaSet", "web-b-new", "web", `, labels: {pod-template-hash: new}, annotations: {deployment.kubernetes.io/revision: "2"}}, spec: {replicas: 1}, status: {replicas: 1}}`),
		object("v1|Pod", "web-a-1", "web-a-old", ", labels: {pod-template-hash: old}"+running),
		object("v1|Pod", "web-b-1", "web-b-new", `, labels: {pod-template-hash: new}}, status: {phase: Pending, containerStatuses: [{name: web, image: web, state: {waiting: {reason: InvalidImageName, message: bad}}}]}}`),
		object("v1|Pod", "somebody-elses", "", running),
		object("batch/v1|CronJob", "nightly", "", "}}"),
		object("batch/v1|Job", "nightly-1", "nightly", `}, status: {startTime: x, active: 1}}`),
		object("v1|Pod", "nightly-1-a", "nightly-1", running),
		object("v1|ConfigMap", "conf", "", "}}"),
	}
	ids := []manifests.ID{
		{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, {Group: "batch", Kind: "CronJob", Namespace: "shop", Name: "nightly"},
		{Kind: "ConfigMap", Namespace: "shop", Name: "conf"}, {Kind: "ConfigMap", Namespace: "shop", Name: "lost"},
	}
	got := outline(grow(ids, there, health.Rules{}), "")
	want := `Deployment/web Failed InvalidImageName
  ReplicaSet/web-b-new Progressing
    Pod/web-b-1 Failed InvalidImageName
  ReplicaSet/web-a-old old Healthy
    Pod/web-a-1 old Healthy
CronJob/nightly Healthy
  Job/nightly-1 Progressing
    Pod/nightly-1-a Healthy
ConfigMap/conf Healthy
ConfigMap/lost Missing NotFound
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
