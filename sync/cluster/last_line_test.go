// FAULTS, Health: a log line that holds a secret.

package cluster

import (
	"io"
	"net/http"
	"strings"
	gosync "sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// logsAPI answers logs beside objects.
type logsAPI struct {
	*readingAPI
	current, previous string
	mu                gosync.Mutex
	logs              []string // the queries
}

func (a *logsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/log") {
		a.readingAPI.ServeHTTP(w, r)
		return
	}
	a.mu.Lock()
	a.logs = append(a.logs, r.URL.RawQuery)
	a.mu.Unlock()
	text := a.current
	if r.URL.Query().Get("previous") == "true" {
		text = a.previous
	}
	_, _ = io.WriteString(w, text)
}

const crashingPod = `{apiVersion: v1, kind: Pod, metadata: {name: cart-1, namespace: shop, uid: pod}, spec: {containers: [
	{name: c, image: x, env: [{name: A, valueFrom: {secretKeyRef: {name: db, key: password}}}, {name: API_TOKEN, value: tok-literal}]}]}}`

// "hunter2", in base64.
const dbSecret = `{apiVersion: v1, kind: Secret, metadata: {name: db, namespace: shop}, data: {password: aHVudGVyMg==}}`

func TestTheLastLogLineIsToldWithoutSecrets(t *testing.T) {
	crashed := after(waiting("CrashLoopBackOff"), 3, ended(1))
	justEnded := after(corev1.ContainerStatus{Name: "c", State: ended(1)}, 1, ended(1))
	quiet := crashed
	quiet.LastTerminationState = ended(1)
	quiet.LastTerminationState.Terminated.Message = "gave up on hunter2\n"
	cannotRun := saying("RunContainerError", `exec: "--password hunter2": not found`)
	for _, test := range []struct {
		name              string
		status            corev1.ContainerStatus
		current, previous string
		objects           []string
		want, not         string
	}{
		{"of the time before", crashed, "other\n", "a\ncannot log in with hunter2\n\n", []string{crashingPod, dbSecret}, "; last log line: cannot log in with ***", ""},
		{"of this time where it has just ended", justEnded, "fatal: tok-literal\n", "other\n", []string{crashingPod, dbSecret}, "; last log line: fatal: ***", ""},
		{"its termination message where it logs nothing", quiet, "", "", []string{crashingPod, dbSecret}, "; last log line: gave up on ***", ""},
		{"not where a Secret is gone", crashed, "", "hunter2\n", []string{crashingPod}, "", "last log line"},
		{"not where the pod is another by now", crashed, "", "hunter2\n", []string{strings.Replace(crashingPod, "uid: pod", "uid: other", 1), dbSecret}, "", "last log line"},
		{"not of half a line", crashed, "", strings.Repeat("x", lastBytes-3) + "hunter2", []string{crashingPod, dbSecret}, "", "last log line"},
		{"and what the kubelet quotes is scrubbed", cannotRun, "", "", []string{crashingPod, dbSecret}, `"--password ***": not found`, "last log line"},
		{"and what the kubelet quotes is scrubbed where nothing is known", cannotRun, "", "", nil, "--password ***", "last log line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, reads := reading(t, test.objects...)
			api := &logsAPI{readingAPI: reads, current: test.current, previous: test.previous}
			on := clusterOn(t, api)
			on.mapper = c.mapper
			p := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{test.status}}}
			p.Name, p.Namespace, p.UID = "cart-1", "shop", "pod"
			memory := newPodMemory()
			memory.note(p, time.Unix(0, 0))
			found := podHealth(sight{pod: p})
			got := on.detailed(t.Context(), found, memory)
			if !strings.Contains(got.Message, test.want) || test.not != "" && strings.Contains(got.Message, test.not) {
				t.Errorf("got %q", got.Message)
			}
			if strings.Contains(got.Message, "hunter2") || strings.Contains(got.Message, "literal") {
				t.Errorf("a secret is told: %q", got.Message)
			}
			reads.requests()
			asked := len(api.logs)
			if again := on.detailed(t.Context(), found, memory); again.Message != got.Message || len(api.logs) != asked || len(reads.requests()) > 0 {
				t.Errorf("the next pass asked again, or was told %q", again.Message)
			}
		})
	}
}

func TestALogThatDoesNotComeIsLeftOut(t *testing.T) {
	for _, text := range []string{"", "\n\n", "  \r\n"} {
		if got := lastOf(text, true); got != "" {
			t.Errorf("%q: got %q", text, got)
		}
	}
	for text, want := range map[string]string{"a\nb\n": "b", "a\r\nb\r\n\r\n": "b", "a\nhalf": "a", "half": ""} {
		if got := lastOf(text, strings.HasSuffix(text, "\n")); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
