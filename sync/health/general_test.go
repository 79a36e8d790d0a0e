package health

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

func TestConventions(t *testing.T) {
	ready := func(status, reason, message string) string {
		return `{type: Ready, status: "` + status + `", reason: "` + reason + `", message: "` + message + `"}`
	}
	for _, test := range []struct{ name, content, want, says string }{
		{"no status", "spec: {}", "Healthy", ""},
		{"an empty status", "status: {}", "Healthy", ""},
		{"a status of empty lists", "status: {conditions: []}", "Progressing", "nothing yet"},
		{"a status with words nobody knows", "status: {phase: Blue, conditions: [{type: Painted, status: \"False\", reason: Blue}]}", "Healthy", ""},

		{"an older generation", "metadata: {generation: 3}, status: {observedGeneration: 2, phase: Failed}", "Progressing", "not seen"},
		{"an older generation, as a text", `metadata: {generation: 3}, status: {observedGeneration: "2"}`, "Progressing", "not seen"},
		{"a hash for a generation", `metadata: {generation: 3}, status: {observedGeneration: 5d8f, phase: Ready}`, "Healthy", ""},
		{"a condition of an older generation", "metadata: {generation: 3}, status: {conditions: [{type: Ready, status: \"True\", observedGeneration: 2}]}", "Progressing", "not seen"},
		{"a failure of an older generation", "metadata: {generation: 3}, status: {conditions: [{type: Failed, status: \"True\", observedGeneration: 2}]}", "Healthy", ""},
		{"a part of an older generation", "metadata: {generation: 3}, status: {conditions: [{type: Ready, status: \"True\", observedGeneration: 3}, {type: Synced, status: \"True\", observedGeneration: 2}]}", "Healthy", ""},

		{"ready", "status: {conditions: [" + ready("True", "Ready", "") + "]}", "Healthy", ""},
		{"ready, as a truth", "status: {conditions: [{type: Ready, status: true}]}", "Healthy", ""},
		{"not ready, and no reason", "status: {conditions: [" + ready("False", "", "") + "]}", "Progressing", "Ready is False"},
		{"not ready, and a reason that says nothing", "status: {conditions: [" + ready("False", "Because", "why") + "]}", "Progressing", "Because: why"},
		{"not ready, and waiting", "status: {conditions: [" + ready("False", "WaitingForNode", "") + "]}", "Progressing", "WaitingForNode"},
		{"not ready for an error", "status: {conditions: [" + ready("False", "ReconcileError", "why") + "]}", "Failed", "ReconcileError: why"},
		{"not ready for something that is not there", "status: {conditions: [" + ready("False", "SecretNotFound", "") + "]}", "Failed", "SecretNotFound"},
		{"not ready for what is no error", "status: {conditions: [" + ready("False", "NoErrorsYet", "") + "]}", "Progressing", "NoErrorsYet"},
		{"not ready, and only the message says so", "status: {conditions: [" + ready("False", "", "Failed to sync") + "]}", "Failed", "Ready: Failed to sync"},
		{"not ready, with a sentence for a reason", "status: {conditions: [" + ready("False", "the disk error is back", "") + "]}", "Failed", "Ready: the disk error is back"},
		{"unknown, and an error of before", "status: {conditions: [" + ready("Unknown", "ReconcileError", "") + "]}", "Progressing", ""},
		{"a state, and the condition that tells why", "status: {phase: Failed, conditions: [{type: Scheduled, status: \"True\", message: on node a}, {type: PodRunning, status: \"False\", reason: StartError, message: exit code 1}]}", "Failed", "exit code 1"},
		{"neither true nor false", "status: {conditions: [" + ready("maybe", "", "") + "]}", "Progressing", ""},
		{"ready, and a part is not", "status: {conditions: [" + ready("True", "", "") + ", {type: CronJobAvailable, status: \"False\"}]}", "Healthy", ""},
		{"ready, and somebody is at it again", "status: {conditions: [" + ready("True", "", "") + ", {type: Reconciling, status: \"True\", reason: NewRevision}]}", "Progressing", "NewRevision"},
		{"ready, and degraded", "status: {conditions: [" + ready("True", "", "") + ", {type: Degraded, status: \"True\", reason: DiskFull}]}", "Failed", "DiskFull"},
		{"ready, and a part has failed", "status: {conditions: [" + ready("True", "", "") + ", {type: BackupFailed, status: \"True\"}]}", "Healthy", ""},
		{"a part has failed", "status: {conditions: [{type: BackupFailed, status: \"True\"}]}", "Failed", "BackupFailed"},
		{"nothing has failed", "status: {conditions: [{type: Failed, status: \"False\", reason: NotFailed}, {type: NoErrors, status: \"True\"}]}", "Healthy", ""},
		{"an error of before, and somebody is at it", "status: {conditions: [" + ready("False", "ApplyFailed", "") + ", {type: Reconciling, status: \"True\", reason: Progressing}]}", "Progressing", ""},
		{"an error, and somebody tries again", "status: {conditions: [" + ready("False", "ApplyFailed", "") + ", {type: Reconciling, status: \"True\", reason: ProgressingWithRetry}]}", "Failed", "ApplyFailed"},
		{"ready as it was, and the change is not taken up", "status: {conditions: [" + ready("True", "", "") + ", {type: Synced, status: \"False\", reason: ReconcileError, message: invalid size}]}", "Failed", "ReconcileError: invalid size"},
		{"said to be not ready", "status: {conditions: [{type: NotReady, status: \"True\", message: why}]}", "Progressing", "why"},
		{"said not to be not ready", "status: {conditions: [{type: NotReady, status: \"False\"}]}", "Healthy", ""},
		{"stalled", "status: {conditions: [{type: Stalled, status: \"True\", reason: InvalidSpec}]}", "Failed", "InvalidSpec"},
		{"a deadline is over", "status: {conditions: [{type: Progressing, status: \"False\", reason: ProgressDeadlineExceeded}]}", "Failed", "ProgressDeadlineExceeded"},
		{"progress that is done", "status: {conditions: [{type: Progressing, status: \"True\", reason: NewReplicaSetAvailable}, {type: Available, status: \"True\"}]}", "Healthy", ""},
		{"not available", "status: {conditions: [{type: Available, status: \"False\"}]}", "Progressing", ""},
		{"with a domain", "status: {conditions: [{type: db.example.org/app-ready, status: \"False\", reason: CreateFailed}]}", "Failed", "CreateFailed"},
		{"not accepted", "status: {conditions: [{type: Accepted, status: \"False\", reason: NoMatchingParent}]}", "Failed", "NoMatchingParent"},
		{"not accepted yet", "status: {conditions: [{type: Accepted, status: \"False\", reason: Pending}]}", "Progressing", "Pending"},
		{"not accepted, and nothing said", "status: {conditions: [{type: Accepted, status: \"False\"}]}", "Progressing", ""},
		{"not accepted by one parent", "status: {parents: [{conditions: [{type: Accepted, status: \"True\"}]}, {conditions: [{type: Accepted, status: \"False\", reason: NotAllowedByListeners}]}]}", "Failed", "NotAllowedByListeners"},
		{"paused, as its condition has it", "status: {conditions: [" + ready("True", "", "") + ", {type: Synced, status: \"False\", reason: ReconcilePaused}]}", "Suspended", "ReconcilePaused"},
		{"stopped", "status: {conditions: [" + ready("False", "Stopped", "") + ", {type: Stopped, status: \"True\"}]}", "Suspended", ""},

		{"asked to stand still", "metadata: {generation: 3}, spec: {suspend: true}, status: {observedGeneration: 2, phase: Failed}", "Suspended", "spec.suspend"},
		{"not asked to", "spec: {paused: false}, status: {phase: Failed}", "Failed", ""},

		{"phase: running", "status: {phase: Running}", "Healthy", ""},
		{"phase: in progress", "status: {phase: ImportInProgress}", "Progressing", "ImportInProgress: status.phase is ImportInProgress"},
		{"phase: SHOUTED", "status: {phase: ROLLING_BACK}", "Progressing", ""},
		{"phase: failed", "status: {phase: Failed, message: no space}", "Failed", "Failed: no space"},
		{"state: an error of one kind", "status: {state: ConfigError}", "Failed", "ConfigError"},
		{"state: not ready", "status: {state: NotReady}", "Progressing", ""},
		{"state: a sentence", "status: {currentState: 'Waiting for the Pods to be ready'}", "Progressing", "Waiting for"},
		{"state: not found", "status: {state: NotFound}", "Missing", ""},
		{"state: unknown", "status: {state: Unknown}", "Unknown", ""},
		{"status: success", "status: {status: SUCCESS}", "Healthy", ""},
		{"health: red", "status: {health: red}", "Failed", "red"},
		{"health: degraded", "status: {health: {status: Degraded}}", "Failed", "Degraded"},
		{"ready, and its phase is of another thing", "status: {phase: Pending, conditions: [" + ready("True", "", "") + "]}", "Healthy", ""},
		{"ready, and its phase has failed", "status: {phase: Failed, conditions: [" + ready("True", "", "") + "]}", "Failed", ""},
		{"a phase that is good, and a condition that is not", "status: {phase: Running, conditions: [" + ready("False", "", "") + "]}", "Progressing", ""},
		{"a flag", "status: {ready: false}", "Progressing", "status.ready is false"},
		{"a flag, as a text", `status: {readyToUse: "true"}`, "Healthy", ""},
		{"a count for a flag", `status: {ready: 1}`, "Healthy", ""},

		{"too few", "spec: {replicas: 3}, status: {replicas: 3, readyReplicas: 2}", "Progressing", "2 of 3 replicas are ready"},
		{"too few, as it says itself", "status: {replicas: 3, availableReplicas: 2.0}", "Progressing", "2 of 3 replicas are available"},
		{"too few of the newest", "spec: {replicas: 3}, status: {replicas: 3, readyReplicas: 3, updatedReplicas: 1}", "Progressing", "1 of 3 replicas are updated"},
		{"too few of the newest, as asked for", "spec: {replicas: 3, updateStrategy: {partition: 2}}, status: {replicas: 3, readyReplicas: 3, updatedReplicas: 1}", "Healthy", ""},
		{"a scale without counts", "spec: {replicas: 3}, status: {replicas: 1}", "Healthy", ""},
		{"trouble, and nothing else", "status: {error: {message: no such disk}}", "Failed", "Error: no such disk"},
		{"trouble for good", "status: {failureReason: CreateError, failureMessage: no such disk, conditions: [" + ready("False", "", "") + "]}", "Failed", "Error: no such disk"},
		{"trouble of before", "status: {phase: Ready, errorMessage: no such disk}", "Healthy", ""},
	} {
		check(t, test.name, "{apiVersion: example.org/v1, kind: Db, "+test.content+"}", test.want, test.says)
	}
}

func TestWordsInATextOfAnyKind(t *testing.T) {
	for text, want := range map[string]string{
		"ImportInProgress": "import in progress", "IMPORT_IN_PROGRESS": "import in progress", "import in-progress": "import in progress",
		"ErrRegisterACMEAccount": "err register acme account", "OOMKilled": "oom killed", "HEALTH_ERR": "health err", "a1b": "a b", "": "", "42": "", "É": "é",
	} {
		got := ""
		for i, word := range wordsIn(text) {
			if i > 0 {
				got += " "
			}
			got += word
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whatever a status holds, an object has a verdict, is not changed, and is told of in one line.
func FuzzNoStatusMakesAPanic(f *testing.F) {
	for _, seed := range []string{
		`{"conditions": [{"type": "Ready", "status": true, "reason": 7, "observedGeneration": 1.5}, null, 7]}`,
		`{"phase": "Failed", "state": {}, "health": {"status": []}, "replicas": "3", "readyReplicas": -1}`,
		`{"containerStatuses": [{"state": {"waiting": 7}, "lastState": []}], "initContainerStatuses": {}}`,
		`{"parents": [7, {"conditions": {}}], "loadBalancer": {"ingress": 7}, "observedGeneration": "x"}`,
		`"text"`, `7`, `null`, `[]`, `{"conditions": null}`, `{"error": {"message": {}}, "ready": "maybe"}`,
	} {
		f.Add(seed, `{"replicas": 1.5, "paused": "true", "updateStrategy": 7}`)
		f.Add(seed, `"text"`)
	}
	f.Fuzz(func(t *testing.T, status, spec string) {
		content := map[string]any{}
		for field, text := range map[string]string{"status": status, "spec": spec} {
			var value any
			if json.Unmarshal([]byte(text), &value) != nil {
				return
			}
			content[field] = value
		}
		for kind := range kinds {
			judgeAny(t, kind.Group, kind.Kind, content)
		}
		judgeAny(t, "example.org", "Db", content)
		judgeAny(t, "cert-manager.io", "Certificate", content)
	})
}

func judgeAny(t *testing.T, group, kind string, content map[string]any) {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": kind, "metadata": map[string]any{"generation": int64(2)}, "status": content["status"], "spec": content["spec"],
	}}
	before, _ := json.Marshal(u.Object)
	verdict := Of(u, Rules{})
	if after, _ := json.Marshal(u.Object); string(after) != string(before) {
		t.Errorf("%s was changed: %s", before, after)
	}
	switch verdict.Condition {
	case manifests.Healthy, manifests.Progressing, manifests.Unhealthy, manifests.Suspended, manifests.Unknown, manifests.Missing:
	default:
		t.Errorf("%s: %q is no verdict", before, verdict.Condition)
	}
	if len([]rune(verdict.Message)) > longestMessage || verdict.Condition == manifests.Unhealthy && verdict.Reason == "" {
		t.Errorf("%s: %+v", before, verdict)
	}
}
