package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPromises runs the scripts that need no running container, side by side on one cluster with one agent.
func TestPromises(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	startAgent(t, c)
	run(t, c, "testdata")
}

// TestOutages runs the scripts that take the Git server or the registry down, which nobody else could bear.
func TestOutages(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	startAgent(t, c)
	run(t, c, filepath.Join("testdata", "outages"))
}

// TestRegistries runs the scripts that have registries of their own: Debian's docker-registry, which the agent is told of in
// a folder such as containerd's certs.d. It looks for digests that are gone every other second.
func TestRegistries(t *testing.T) {
	t.Parallel()
	needDockerRegistry(t)
	c := startSimulated(t)
	dir := t.TempDir()
	c.certsD, c.dockerConfig = filepath.Join(dir, "certs.d"), filepath.Join(dir, "config.json")
	if err := os.Mkdir(c.certsD, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.dockerConfig, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	startAgent(t, c, "--registry-hosts-dir="+c.certsD, "--docker-config="+c.dockerConfig, "--image-check-interval=2s")
	run(t, c, filepath.Join("testdata", "registries"))
}

// TestRealNode runs the scripts that need a kubelet. The agent is the shipped Pod there, with the shipped rights.
func TestRealNode(t *testing.T) {
	t.Parallel()
	c := startCluster(t, "real")
	installAgent(t, c)
	run(t, c, filepath.Join("testdata", "real"))
}

// run runs a directory of scripts. Each has a namespace, a repository and a kubeconfig of its own.
func run(t *testing.T, c target, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                dir,
		RequireUniqueNames: true,
		Setup:              func(env *testscript.Env) error { return prepare(env, c) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"belay":    cmdBelay,
			"exits":    cmdExits,
			"kubectl":  cmdKubectl,
			"expand":   cmdExpand,
			"push":     cmdPush,
			"revert":   cmdRevert,
			"image":    cmdImage,
			"until":    cmdUntil,
			"mark":     cmdMark,
			"writes":   cmdWrites,
			"registry": cmdRegistry,
			"signed":   cmdSigned,
			"requests": cmdRequests,
			"elapsed":  cmdElapsed,
			"service":  cmdService,
		},
	})
}

// prepare makes what a script finds: the namespace $NS, the repository $REPO with its clone in $WORK/repo, and the
// addresses of the cluster's services.
func prepare(env *testscript.Env, c target) error {
	name := namespaceOf(env)
	s, err := newScript(c, name, env.WorkDir)
	if err != nil {
		return err
	}
	env.Values[scriptKey{}] = s
	env.Setenv("NS", name)
	env.Setenv("KUBECONFIG", s.kubeconfig)
	env.Setenv("REGISTRY", c.Registry)
	env.Setenv("REPO", s.repository)
	keys, err := filepath.Abs(signings)
	if err != nil {
		return err
	}
	env.Setenv("KEYS", keys)
	env.Setenv("CERTSD", c.certsD)
	env.Setenv("DOCKERCONFIG", c.dockerConfig)
	env.Setenv("GIT", c.Git)
	env.Setenv("GITROOT", c.GitRoot)
	env.Setenv("KUBECTL", c.Kubectl)
	program, err := belayBuilt()
	if err != nil {
		return err
	}
	env.Setenv("BELAY", program)
	env.Setenv("HOME", env.WorkDir)
	env.Defer(s.cleanup)
	return nil
}

// namespaceOf makes a namespace's name of a script's: its working directory is "script-NAME".
func namespaceOf(env *testscript.Env) string {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	return strings.ToLower(name[:min(50, len(name))])
}

// soon is how long a script waits for a condition unless it says otherwise. It is generous: machines are slow, and
// a condition that comes true ends the wait at once.
const soon = 60 * time.Second
