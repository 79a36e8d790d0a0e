package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

func TestAnExplanationIsDrawnAsATree(t *testing.T) {
	sync := &v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}}
	sync.Status.Phase = v1alpha1.Watching
	sync.Status.History = []v1alpha1.HistoryEntry{{Release: 7, Commit: "0123456789abcdef"}}
	sync.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Ready, Status: metav1.ConditionUnknown, Reason: "Progressing", Message: "waiting for\nDeployment/shop/web"}}
	node := func(group, kind, name string, condition manifests.Condition, message string, branches ...cluster.Branch) cluster.Branch {
		return cluster.Branch{Branches: branches, Health: manifests.Health{
			ID: manifests.ID{Group: group, Kind: kind, Namespace: "shop", Name: name}, Condition: condition, Message: message,
		}}
	}
	old := node("apps", "ReplicaSet", "web-1", manifests.Healthy, "", node("", "Pod", "web-1-a", manifests.Healthy, ""))
	old.Outdated = true
	lonely := node("", "Service", "web", manifests.Progressing, "no address")
	lonely.Health.Bearing = manifests.None
	e := explanationOf(sync, []cluster.Branch{
		node("apps", "Deployment", "web", manifests.Progressing, "1 of 2",
			node("apps", "ReplicaSet", "web-2", manifests.Progressing, "", node("", "Pod", "web-2-a", manifests.Unhealthy, "no such image")), old),
		node("", "ConfigMap", "conf", manifests.Healthy, ""),
		lonely,
	})
	for _, test := range []struct {
		all  bool
		want string
	}{
		{false, `Sync/shop/shop  Watching  Ready=Unknown  release 7, commit 0123456
  waiting for Deployment/shop/web
├─ Deployment/shop/web  Progressing: 1 of 2
│  ├─ ReplicaSet/shop/web-2  Progressing
│  │  └─ Pod/shop/web-2-a  Failed: no such image
│  └─ ReplicaSet/shop/web-1 (old)  Healthy
│     └─ Pod/shop/web-1-a  Healthy
├─ Service/shop/web  Progressing, which the release does not wait for: no address
└─ objects with nothing behind them that are healthy: 1
`},
		{true, `Sync/shop/shop  Watching  Ready=Unknown  release 7, commit 0123456
  waiting for Deployment/shop/web
├─ Deployment/shop/web  Progressing: 1 of 2
│  ├─ ReplicaSet/shop/web-2  Progressing
│  │  └─ Pod/shop/web-2-a  Failed: no such image
│  └─ ReplicaSet/shop/web-1 (old)  Healthy
│     └─ Pod/shop/web-1-a  Healthy
├─ ConfigMap/shop/conf  Healthy
└─ Service/shop/web  Progressing, which the release does not wait for: no address
`},
	} {
		var out bytes.Buffer
		e.write(&out, test.all)
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("all %t: %s", test.all, diff)
		}
	}
	if diff := cmp.Diff([]string{"Deployment/shop/web  Progressing: 1 of 2"}, e.WaitsFor); diff != "" {
		t.Error("it waits for", diff)
	}
}
