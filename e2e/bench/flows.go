package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// flow is a kind of request that is counted by a flow schema of its own.
type flow struct {
	name      string
	verbs     []string
	groups    []string
	resources []string
}

// flows are in the order in which they are tried: the first one that matches counts. The last takes what is left, which is
// discovery.
var flows = []flow{
	{"lease", []string{"*"}, []string{"coordination.k8s.io"}, []string{"leases"}},
	{"watch", []string{"watch"}, []string{"*"}, []string{"*"}},
	{"list", []string{"list"}, []string{"*"}, []string{"*"}},
	{"get", []string{"get"}, []string{"*"}, []string{"*"}},
	{"status", []string{"*"}, []string{"belay.dev"}, []string{"syncs/status"}},
	{"sync", []string{"*"}, []string{"belay.dev"}, []string{"syncs"}},
	{"secret", []string{"*"}, []string{""}, []string{"secrets"}},
	{"event", []string{"*"}, []string{"", "events.k8s.io"}, []string{"events"}},
	{"patch", []string{"patch"}, []string{"*"}, []string{"*"}},
	{"create", []string{"create"}, []string{"*"}, []string{"*"}},
	{"update", []string{"update"}, []string{"*"}, []string{"*"}},
	{"delete", []string{"delete", "deletecollection"}, []string{"*"}, []string{"*"}},
	{"other", nil, nil, nil},
}

// flowName is the flow schema for a user's requests of a kind.
func flowName(user, flow string) string { return "bench-" + user + "-" + flow }

// makeFlows makes the flow schemas of a user, and waits until the API server goes by them.
func (t *target) makeFlows(ctx context.Context, user, token string) error {
	for i, f := range flows {
		rule := map[string]any{"subjects": []any{map[string]any{
			"kind": "ServiceAccount", "serviceAccount": map[string]any{"name": user, "namespace": namespace},
		}}}
		if f.verbs == nil {
			rule["nonResourceRules"] = []any{map[string]any{"verbs": []string{"*"}, "nonResourceURLs": []string{"*"}}}
			f.verbs, f.groups, f.resources = []string{"*"}, []string{"*"}, []string{"*"}
		}
		rule["resourceRules"] = []any{map[string]any{
			"verbs": f.verbs, "apiGroups": f.groups, "resources": f.resources, "clusterScope": true, "namespaces": []string{"*"},
		}}
		schema, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"name": flowName(user, f.name)},
			"spec": map[string]any{
				"matchingPrecedence":         40 + i,
				"priorityLevelConfiguration": map[string]any{"name": "workload-low"}, // as service accounts have by default
				"distinguisherMethod":        map[string]any{"type": "ByUser"},
				"rules":                      []any{rule},
			},
		})
		if err != nil {
			return err
		}
		if err := t.admin.create(ctx, "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", string(schema)); err != nil {
			return err
		}
	}
	return t.awaitFlows(ctx, user, token)
}

// awaitFlows waits until the last flow schema is gone by: the API server names it in its answers.
func (t *target) awaitFlows(ctx context.Context, user, token string) error {
	text, err := t.admin.do(ctx, "GET", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/"+flowName(user, "other"), "", nil)
	if err != nil {
		return err
	}
	var schema struct{ Metadata struct{ UID string } }
	if err := json.Unmarshal(text, &schema); err != nil {
		return err
	}
	client := t.admin.as(token, true, 1)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		response, err := client.send(ctx, "GET", "/version", "", nil)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.Header.Get("X-Kubernetes-Pf-Flowschema-Uid") == schema.Metadata.UID {
			return nil
		}
	}
	return fmt.Errorf("the API server does not go by the flow schemas of %s", user)
}
