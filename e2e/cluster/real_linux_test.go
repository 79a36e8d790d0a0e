package cluster_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/e2e/cluster"
)

func startReal(t *testing.T) *running {
	t.Helper()
	if missing := cluster.Missing(cluster.Real); len(missing) > 0 {
		t.Skipf("a real node lacks here:\n%s", strings.Join(missing, "\n"))
	}
	return startCluster(t, "--node=real")
}

func TestARealNodeRunsPodsAndLeavesNothing(t *testing.T) {
	before := traces(t)
	r := startReal(t)
	v1 := r.pushHello(t, "hello:latest", "v1")
	r.pushHello(t, "hello:crash", "v1", "--crash")
	r.kubectl(t, "create", "deployment", "hello", "--replicas=2", "--image="+r.Registry+"/hello:latest")
	r.kubectl(t, "expose", "deployment", "hello", "--port=80", "--target-port=8080")
	r.kubectl(t, "run", "crash", "--image="+r.Registry+"/hello:crash")
	r.kubectl(t, "wait", "--for=condition=available", "--timeout=60s", "deployment/hello")

	image := r.Registry + "/hello@" + v1
	ids := r.kubectl(t, "get", "pods", "-l", "app=hello", "-o", "jsonpath={.items[*].status.containerStatuses[*].imageID}")
	if diff := cmp.Diff([]string{image, image}, strings.Fields(ids)); diff != "" {
		t.Errorf("imageID (-want +got):\n%s", diff)
	}
	if got := r.kubectl(t, "get", "--raw", "/api/v1/namespaces/default/services/hello:80/proxy/"); got != "v1" {
		t.Errorf("the Service answers %q", got)
	}
	if got := r.kubectl(t, "logs", "deployment/hello", "--all-pods=false"); !strings.Contains(got, `answering "v1"`) {
		t.Errorf("logs: %q", got)
	}
	// There is no shell in the image: that the program runs a second time, and finds the port taken, shows exec.
	out, err := exec.Command(r.Kubectl, "--kubeconfig", r.Kubeconfig, "exec", "deployment/hello", "--", "/hello").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("exec: %v\n%s", err, out)
	}
	eventually(t, "the crashing pod is seen to crash", func() bool {
		return r.kubectl(t, "get", "pod", "crash", "-o", "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}") == "1"
	})

	r.stop(t)
	eventually(t, "interfaces, mounts and cgroups are as before", func() bool { return cmp.Equal(before, traces(t)) })
	if diff := cmp.Diff(before, traces(t)); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

func TestARealClusterAndItsContainersDieWithTheCommand(t *testing.T) {
	before := traces(t)
	r := startReal(t)
	r.pushHello(t, "hello:latest", "v1")
	r.kubectl(t, "run", "hello", "--image="+r.Registry+"/hello:latest")
	r.kubectl(t, "wait", "--for=condition=ready", "--timeout=60s", "pod/hello")
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err == nil {
		t.Error("a killed process ended without an error")
	}
	eventually(t, "interfaces, mounts and cgroups are as before", func() bool { return cmp.Equal(before, traces(t)) })
	eventually(t, "the folder is gone", func() bool { _, err := os.Stat(r.Dir); return os.IsNotExist(err) })
	r.isGone(t)
}

// traces are the things that a real node might leave on this machine.
func traces(t *testing.T) []string {
	t.Helper()
	var found []string
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		found = append(found, "interface "+i.Name)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, strings.Split(string(mounts), "\n")...)
	for _, pattern := range []string{
		"/sys/fs/cgroup/belay-*", "/sys/fs/cgroup/*/belay-*",
		"/run/containerd*", "/run/netns*", "/run/cni*", "/var/lib/cni*", "/var/lib/kubelet*", "/var/log/pods*", "/opt/containerd*",
		"/usr/libexec/kubernetes*",
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, paths...)
	}
	return found
}
