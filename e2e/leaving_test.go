// FAULTS, Agent: Sync deleted.
// A Sync is deleted with its namespace while no agent runs: its releases are gone, and the next agent knows
// nothing. What the Sync has elsewhere goes all the same, and the namespace ends.

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFreshAgentTakesAwayWhatNoReleaseTellsOf(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	s, err := newScript(c, "leaving", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, c, "", "create", "namespace", "leaving-elsewhere")
	kubectl(t, c, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nobodys, namespace: leaving-elsewhere}\n", "apply", "-f", "-")
	if err := os.WriteFile(filepath.Join(s.clone, "app.yaml"), []byte(leavingObjects), 0o644); err != nil {
		t.Fatal(err)
	}
	s.commit(t, "all of it")
	kubectl(t, c, fmt.Sprintf(killedSync, s.repository, "1s"), "apply", "--namespace=leaving", "-f", "-")
	agent := newAgent(t, c, "--leader-elect=false")
	s.settled(t, 1, true)
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	agent.Wait() //nolint:errcheck // it was killed

	kubectl(t, c, "", "delete", "namespace", "leaving", "--wait=false")
	get := func(args ...string) string {
		return strings.TrimSpace(string(kubectl(t, c, "", append([]string{"get", "--ignore-not-found", "-o", "name"}, args...)...)))
	}
	await(t, "the releases to go", func() bool { return get("secrets", "--namespace=leaving") == "" })
	if got := get("sync", "app", "--namespace=leaving"); got == "" {
		t.Fatal("the Sync is gone without an agent")
	}

	newAgent(t, c, "--leader-elect=false")
	await(t, "the namespace to end", func() bool { return get("namespace", "leaving") == "" })
	for _, gone := range [][]string{
		{"configmap", "far", "--namespace=leaving-elsewhere"}, {"service", "far", "--namespace=leaving-elsewhere"}, {"clusterrole", "leaving-reader"},
	} {
		if got := get(gone...); got != "" {
			t.Errorf("%s is there still", got)
		}
	}
	if got := get("configmap", "nobodys", "--namespace=leaving-elsewhere"); got == "" {
		t.Error("what was not the Sync's is gone")
	}
}

const leavingObjects = `apiVersion: v1
kind: ConfigMap
metadata: {name: near}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: far, namespace: leaving-elsewhere}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: leaving-elsewhere}
spec: {ports: [{port: 80}], selector: {app: far}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: leaving-reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
`
