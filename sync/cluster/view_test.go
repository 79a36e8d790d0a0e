package cluster

import (
	"net/http"
	"strings"
	"testing"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// A person who may not read everything is not told that the rest is gone.
func TestWhatMayNotBeReadIsNotSaidToBeGone(t *testing.T) {
	secret, lost := manifests.ID{Kind: "Secret", Namespace: "team", Name: "db"}, manifests.ID{Kind: "Pod", Namespace: "team", Name: "lost"}
	for _, code := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		c, api := reading(t, `{apiVersion: v1, kind: Secret, metadata: {namespace: team, name: db, uid: s}}`)
		for _, path := range []string{"/api/v1/namespaces/team/secrets", "/apis/belay.dev/v1alpha1/namespaces/team/syncs"} {
			api.refusals[path] = code
		}
		view, err := judging(t, c, v1alpha1.HealthChecks{}).View([]manifests.ID{secret, lost})
		if err != nil {
			t.Fatal(err)
		}
		if err := view.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "secrets of namespace team") {
			t.Errorf("%d: what cannot be read is not told: %v", code, err)
		}
		tree := view.Tree()
		if got := tree[0]; got.Health.Condition != manifests.Unknown || !got.Unread || got.Health.ID != secret {
			t.Errorf("%d: got %+v", code, got)
		}
		if got := tree[1]; got.Health.Condition != manifests.Missing || got.Unread {
			t.Errorf("%d: got %+v", code, got)
		}
		known := &v1alpha1.Sync{}
		if got, err := view.Sync(known); got != known || err != nil {
			t.Errorf("%d: the Sync is said to be gone: %v, %v", code, got, err)
		}
	}
}

func TestWhatASyncIgnoresIsShownWithoutBearing(t *testing.T) {
	c, _ := reading(t, `{apiVersion: v1, kind: Pod, metadata: {namespace: team, name: a, uid: a}}`)
	a := manifests.ID{Kind: "Pod", Namespace: "team", Name: "a"}
	view, err := judging(t, c, v1alpha1.HealthChecks{Ignore: []v1alpha1.Target{{Kind: "Pod", Name: "a"}}}).View([]manifests.ID{a})
	if err != nil {
		t.Fatal(err)
	}
	_ = view.Read(t.Context()) // of the rest this server knows nothing
	if got := view.Tree()[0].Health; got.Bearing != manifests.None || got.Condition != manifests.Progressing {
		t.Errorf("got %+v", got)
	}
}
