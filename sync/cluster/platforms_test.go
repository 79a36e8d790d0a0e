// FAULTS, Registry: index without the nodes' architecture.

package cluster

// Fault "Registry": an index without the nodes' architecture is refused before it is applied. What the nodes are has to be
// known for that.

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func labelled(name, os, architecture string) string {
	return `{apiVersion: v1, kind: Node, metadata: {name: ` + name + `, labels: {kubernetes.io/os: ` + os + `, kubernetes.io/arch: ` + architecture + `}}}`
}

func TestPlatformsAreThoseOfTheNodes(t *testing.T) {
	for _, test := range []struct {
		name  string
		nodes []string
		want  []string
	}{
		{"each once", []string{labelled("a", "linux", "arm64"), labelled("b", "linux", "amd64"), labelled("c", "linux", "arm64"), labelled("d", "windows", "amd64")},
			[]string{"linux/amd64", "linux/arm64", "windows/amd64"}},
		{"by what the kubelet says where there are no labels", []string{labelled("a", "linux", "amd64"),
			`{apiVersion: v1, kind: Node, metadata: {name: b}, status: {nodeInfo: {operatingSystem: linux, architecture: riscv64}}}`},
			[]string{"linux/amd64", "linux/riscv64"}},
		{"not of a node that says nothing", []string{labelled("a", "linux", "amd64"), `{apiVersion: v1, kind: Node, metadata: {name: b}}`}, []string{"linux/amd64"}},
		{"none without nodes", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := reading(t, test.nodes...)
			got, err := c.Platforms(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlatformsAreAskedForOnceAMinute(t *testing.T) {
	c, api := reading(t, labelled("a", "linux", "amd64"))
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	c.platforms.clock = func() time.Time { return now }
	for _, look := range []struct {
		after time.Duration
		asked []string
	}{
		{0, []string{"/api/v1/nodes"}}, {0, nil}, {59 * time.Second, nil}, {time.Second, []string{"/api/v1/nodes"}}, {time.Second, nil},
	} {
		now = now.Add(look.after)
		if got, err := c.Platforms(t.Context()); err != nil || !slices.Equal(got, []string{"linux/amd64"}) {
			t.Fatalf("got %v, %v", got, err)
		}
		if asked := api.requests(); !slices.Equal(asked, look.asked) {
			t.Errorf("after %v more, asked for %v", look.after, asked)
		}
	}
}

func TestWhoMayNotListNodesIsToldTheRule(t *testing.T) {
	c, api := reading(t)
	api.refusals["/api/v1/nodes"] = http.StatusForbidden
	_, err := c.Platforms(t.Context())
	var e *Error
	if !errors.As(err, &e) || !e.Temporary || !strings.HasSuffix(e.Error(), `add to a ClusterRole: {apiGroups: [""], resources: [nodes], verbs: [get, list]}`) {
		t.Errorf("got %v", err)
	}
}
