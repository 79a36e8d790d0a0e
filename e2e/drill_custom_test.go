package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	gosync "sync"
	"testing"
)

// customKind is a kind of custom resource whose controller the test plays.
type customKind struct{ group, version, plural, kind string }

var customKinds = []customKind{
	{"argoproj.io", "v1alpha1", "rollouts", "Rollout"},
	{"argoproj.io", "v1alpha1", "workflows", "Workflow"},
	{"cert-manager.io", "v1", "certificates", "Certificate"},
	{"serving.knative.dev", "v1", "services", "Service"},
	{"tekton.dev", "v1", "pipelineruns", "PipelineRun"},
	{"kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization"},
	{"kafka.strimzi.io", "v1beta2", "kafkas", "Kafka"},
	{"drill.example.com", "v1", "boats", "Boat"},
	{"drill.example.com", "v1", "databases", "Database"},
}

// custom are releases whose custom resources are not well. Each status is one that the kind's controller writes.
var custom = []sickness{
	{
		name: "argo-rollout", reason: "ProgressDeadlineExceeded", message: "Rollout/.*/main: .*timed out progressing",
		good: says(0, "phase: Healthy, observedGeneration: $GENERATIONTEXT, conditions: [{type: Available, status: 'True', reason: AvailableReason}]"),
		change: says(0, `phase: Degraded, message: 'ProgressDeadlineExceeded: ReplicaSet "main-1" has timed out progressing.', observedGeneration: $GENERATIONTEXT, `+
			`conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: 'ReplicaSet "main-1" has timed out progressing.'}]`),
	},
	{
		name: "argo-workflow", reason: "Failed", message: "Workflow/.*/main: .*child 'main-1' failed",
		added: says(1, "phase: Failed, message: 'child ''main-1'' failed', conditions: [{type: Completed, status: 'True'}]"),
	},
	{
		name: "certificate", reason: "Failed", message: "Certificate/.*/main: .*the order is invalid",
		good: says(2, "conditions: [{type: Ready, status: 'True', reason: Ready, message: Certificate is up to date and has not expired}]"),
		change: says(2, "failedIssuanceAttempts: 1, lastFailureTime: '2026-01-01T00:00:00Z', conditions: ["+
			"{type: Ready, status: 'False', reason: DoesNotExist, message: Issuing certificate as Secret does not exist}, "+
			"{type: Issuing, status: 'False', reason: Failed, message: 'The certificate request has failed to complete: the order is invalid'}]"),
	},
	{
		name: "knative-service", reason: "RevisionFailed", message: "Service/.*/main: .*container image failed",
		good: says(3, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'True'}]"),
		change: says(3, "observedGeneration: $GENERATION, conditions: ["+
			`{type: ConfigurationsReady, status: 'False', reason: RevisionFailed, message: 'Revision "main-2" failed: the container image failed to start'}, `+
			`{type: Ready, status: 'False', reason: RevisionFailed, message: 'Revision "main-2" failed: the container image failed to start'}]`),
	},
	{
		name: "tekton-pipeline-run", reason: "Failed", message: "PipelineRun/.*/main: .*Tasks Completed: 1 .Failed: 1",
		added: says(4, "conditions: [{type: Succeeded, status: 'False', reason: Failed, message: 'Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 2'}]"),
	},
	{
		name: "flux-kustomization", reason: "TerminalError", message: "Kustomization/.*/main: .*no such path",
		good: says(5, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'True', reason: ReconciliationSucceeded, message: applied}]"),
		change: says(5, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'False', reason: TerminalError, message: no such path}, "+
			"{type: Stalled, status: 'True', reason: TerminalError, message: no such path}]"),
	},
	{
		name: "strimzi-kafka", reason: "InvalidResourceException", message: "Kafka/.*/main: .*spec.kafka.storage",
		good: says(6, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'True'}]"),
		change: says(6, "observedGeneration: $GENERATION, conditions: [{type: NotReady, status: 'True', reason: InvalidResourceException, "+
			"message: 'the property spec.kafka.storage is required'}]"),
	},
	{
		name: "stalled-by-convention", reason: "NoHarbour", message: "Boat/.*/main: .*the harbour is closed",
		good: says(7, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'True', reason: Afloat}]"),
		change: says(7, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'False', reason: NoHarbour, message: the harbour is closed}, "+
			"{type: Stalled, status: 'True', reason: NoHarbour, message: the harbour is closed}]"),
	},
	{
		name: "failed-by-expression", reason: "Lost|Failed", message: "Database/.*/main: .*Lost",
		health: `{timeout: 4m, stableFor: 1s, expressions: [{apiVersion: drill.example.com/v1, kind: Database, current: "status.state == 'Up'", failed: "status.state == 'Lost'"}]}`,
		good:   says(8, "state: Up"), change: says(8, "state: Lost, reason: Lost, message: Lost its disk"),
	},
	{
		name: "not-current-by-expression", reason: "TimedOut", message: "not healthy within 25s: Database/.*/main",
		health: `{timeout: 25s, stableFor: 1s, expressions: [{apiVersion: drill.example.com/v1, kind: Database, current: "status.state == 'Up'", failed: "status.state == 'Lost'"}]}`,
		good:   says(8, "state: Up"), change: says(8, "state: Booting"),
	},
	{
		name: "nobody-answers", reason: "TimedOut", message: "not healthy within 25s: Boat/.*/main", health: briefly,
		good:   says(7, "observedGeneration: $GENERATION, conditions: [{type: Ready, status: 'True', reason: Afloat}]"),
		change: says(7, "observedGeneration: 1, conditions: [{type: Ready, status: 'True', reason: Afloat}]"),
	},
}

// says is a custom resource of a kind, by its place in customKinds, whose controller answers with a status.
func says(kind int, status string) string {
	k := customKinds[kind]
	return fmt.Sprintf("{apiVersion: %s/%s, kind: %s, metadata: {name: main}, spec: {says: {%s}}}", k.group, k.version, k.kind, status)
}

// crdOf is a CRD without a schema.
func crdOf(group, plural, kind string) string {
	return crdFor(customKind{group, "v1", plural, kind})
}

func crdFor(k customKind) string {
	const anything = "{type: object, x-kubernetes-preserve-unknown-fields: true}"
	return fmt.Sprintf("---\n{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %s.%s, annotations: "+
		"{api-approved.kubernetes.io: unapproved}}, spec: {group: %[2]s, scope: Namespaced, names: {kind: %[3]s, plural: %[1]s}, versions: ["+
		"{name: %[4]s, served: true, storage: true, subresources: {status: {}}, schema: {openAPIV3Schema: %[5]s}}]}}\n", k.plural, k.group, k.kind, k.version, anything)
}

// control installs the custom kinds, and plays their controllers until the test ends: the status of each object is what its
// spec says, where $GENERATION is its generation, and $GENERATIONTEXT that as a text.
func (d *drill) control(t *testing.T) {
	t.Helper()
	var crds strings.Builder
	for _, k := range customKinds {
		crds.WriteString(crdFor(k))
	}
	kubectl(t, d.target, crds.String(), "apply", "-f", "-")
	kubectl(t, d.target, "", "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
	ctx, stop := context.WithCancel(t.Context())
	var controllers gosync.WaitGroup
	t.Cleanup(func() {
		stop()
		controllers.Wait()
	})
	for _, k := range customKinds {
		controllers.Go(func() {
			err := io.EOF // the API server ends a watch when it learns of a CRD of the same group
			for err == io.EOF {
				err = d.answer(ctx, k)
			}
			if ctx.Err() == nil {
				t.Errorf("playing the controller of %s: %v", k.kind, err)
			}
		})
	}
}

// answer plays the controller of one kind.
func (d *drill) answer(ctx context.Context, k customKind) error {
	base := fmt.Sprintf("%s/apis/%s/%s/", d.api.server, k.group, k.version)
	answer, err := d.send(ctx, http.MethodGet, base+k.plural+"?watch=1", "")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for events := json.NewDecoder(answer.Body); ; {
		var event struct {
			Type   string
			Object struct {
				Metadata struct {
					Namespace, Name string
					Generation      int
				}
				Spec struct{ Says json.RawMessage }
			}
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		if event.Type != "ADDED" && event.Type != "MODIFIED" {
			continue
		}
		metadata := event.Object.Metadata
		generation := fmt.Sprint(metadata.Generation)
		says := strings.NewReplacer("$GENERATIONTEXT", generation, `"$GENERATION"`, generation).Replace(string(event.Object.Spec.Says))
		path := fmt.Sprintf("%snamespaces/%s/%s/%s/status", base, metadata.Namespace, k.plural, metadata.Name)
		patch := fmt.Sprintf(`[{"op":"add","path":"/status","value":%s}]`, says)
		said, err := d.send(ctx, http.MethodPatch, path, patch)
		if err != nil {
			return err
		}
		said.Body.Close() // it may be gone by now
	}
}

func (d *drill) send(ctx context.Context, method, url, patch string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(patch))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json-patch+json")
	return d.api.client.Do(request)
}
