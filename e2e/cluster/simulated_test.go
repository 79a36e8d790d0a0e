package cluster_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASimulatedDeploymentBecomesAvailable(t *testing.T) {
	r := startCluster(t, "--nodes", "2")
	digest := r.pushHello(t, "hello:latest", "v1")
	image := r.Registry + "/hello@" + digest
	r.kubectl(t, "create", "deployment", "hello", "--replicas=3", "--image="+strings.Replace(image, "@", ":latest@", 1))
	r.kubectl(t, "expose", "deployment", "hello", "--port=8080")
	r.kubectl(t, "wait", "--for=condition=available", "--timeout=30s", "deployment/hello")

	ids := r.kubectl(t, "get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].imageID}")
	if diff := cmp.Diff([]string{image, image, image}, strings.Fields(ids)); diff != "" {
		t.Errorf("imageID (-want +got):\n%s", diff)
	}
	eventually(t, "the Service has three endpoints", func() bool {
		return len(strings.Fields(r.kubectl(t, "get", "endpointslices", "-o", "jsonpath={.items[*].endpoints[*].addresses}"))) == 3
	})
	r.kubectl(t, "delete", "deployment", "hello")
	eventually(t, "its pods are gone", func() bool { return r.kubectl(t, "get", "pods", "-o", "name") == "" })
}

func TestASimulatedJobCompletes(t *testing.T) {
	r := startCluster(t)
	r.kubectl(t, "create", "job", "once", "--image=once", "--", "true")
	r.kubectl(t, "wait", "--for=condition=complete", "--timeout=30s", "job/once")
}

func TestPodsPlayTheFailureThatTheyAreAnnotatedWith(t *testing.T) {
	r := startCluster(t)
	type status struct {
		Phase, Waiting string
		Restarts       int
		LastExit       int
		Running, Ready bool
	}
	want := map[string]status{
		"CrashLoopBackOff": {Phase: "Running", Waiting: "CrashLoopBackOff", Restarts: 3, LastExit: 1},
		"ImagePullBackOff": {Phase: "Pending", Waiting: "ImagePullBackOff"},
		"NeverReady":       {Phase: "Running", Running: true},
	}
	for fail := range want {
		r.kubectl(t, "run", strings.ToLower(fail), "--image=app", "--annotations=simulate.belay.dev/fail="+fail)
	}
	for fail, want := range want {
		name := strings.ToLower(fail)
		read := func() (got status) {
			var pod struct {
				Status struct {
					Phase             string
					ContainerStatuses []struct {
						Ready        bool
						RestartCount int
						State        struct {
							Waiting struct{ Reason string }
							Running *struct{}
						}
						LastState struct{ Terminated struct{ ExitCode int } }
					}
				}
			}
			if err := json.Unmarshal([]byte(r.kubectl(t, "get", "pod", name, "-o", "json")), &pod); err != nil {
				t.Fatal(err)
			}
			got.Phase = pod.Status.Phase
			for _, c := range pod.Status.ContainerStatuses {
				got.Waiting, got.Restarts, got.LastExit = c.State.Waiting.Reason, c.RestartCount, c.LastState.Terminated.ExitCode
				got.Running, got.Ready = c.State.Running != nil, c.Ready
			}
			return got
		}
		eventually(t, fail, func() bool { return read() == want })
		if fail == "CrashLoopBackOff" {
			r.kubectl(t, "annotate", "pod", name, "simulate.belay.dev/fail-")
			r.kubectl(t, "wait", "--for=condition=ready", "--timeout=30s", "pod/"+name)
		}
	}
}

func TestPodsStartAsTheyAreAnnotated(t *testing.T) {
	r := startCluster(t)
	for start, want := range map[string]string{
		"slow":    "ready=true restarts=0 last=",
		"restart": "ready=true restarts=1 last=1",
	} {
		r.kubectl(t, "run", start, "--image=app", "--annotations=simulate.belay.dev/start="+start)
		r.kubectl(t, "wait", "--for=jsonpath={.status.containerStatuses[0].ready}=false", "--timeout=30s", "pod/"+start)
		r.kubectl(t, "wait", "--for=condition=ready", "--timeout=30s", "pod/"+start)
		const how = `jsonpath={range .status.containerStatuses[0]}ready={.ready} restarts={.restartCount} last={.lastState.terminated.exitCode}{end}`
		if got := r.kubectl(t, "get", "pod", start, "-o", how); got != want {
			t.Errorf("%s: %s, not %s", start, got, want)
		}
	}
}

func TestTwoClustersRunSideBySide(t *testing.T) {
	one, two := startCluster(t), startCluster(t)
	one.kubectl(t, "create", "configmap", "only-in-one")
	if got := two.kubectl(t, "get", "configmap", "only-in-one", "--ignore-not-found"); got != "" {
		t.Errorf("the second cluster has the first's: %s", got)
	}
	one.stop(t)
	two.kubectl(t, "get", "nodes")
}

func TestWritesAreInTheAuditLogWhenTheyHaveReturned(t *testing.T) {
	r := startCluster(t)
	r.kubectl(t, "create", "configmap", "seen", "--dry-run=server")
	r.kubectl(t, "get", "configmaps")
	log, err := os.ReadFile(r.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	type event struct {
		Verb, RequestURI string
		User             struct{ Username string }
		ObjectRef        struct{ Name string }
	}
	var got []event
	for line := range strings.Lines(string(log)) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.User.Username == "admin" {
			got = append(got, e)
		}
	}
	want := event{Verb: "create", RequestURI: "/api/v1/namespaces/default/configmaps?dryRun=All&fieldManager=kubectl-create&fieldValidation=Strict"}
	want.User.Username, want.ObjectRef.Name = "admin", "seen"
	if diff := cmp.Diff([]event{want}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAComponentThatDiesIsNamedWithTheEndOfItsLog(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the test finds processes in /proc")
	}
	r := startCluster(t)
	for pid, line := range processesOf(t, r.Dir) {
		if strings.Contains(line, "/kube-scheduler\x00") {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.cmd.Wait(); err == nil {
		t.Error("cluster start ended without an error")
	}
	for _, want := range []string{"running kube-scheduler: signal: killed", "the end of " + r.Dir + "/logs/kube-scheduler.log:\n  "} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, r.stderr)
		}
	}
	r.isGone(t)
}

func TestAClusterThatIsInterruptedWhileItStartsLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the test finds processes in /proc")
	}
	dir := t.TempDir()
	cmd := exec.Command(command, "start")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "etcd runs", func() bool { return len(processesOf(t, dir)) > 0 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("cluster start ended without an error")
	}
	eventually(t, "no process is left", func() bool { return len(processesOf(t, dir)) == 0 })
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left, error %v", left, err)
	}
}
