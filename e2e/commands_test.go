package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdBelay runs the built belay: `belay ARGS…`.
func cmdBelay(ts *testscript.TestScript, neg bool, args []string) {
	program, err := belayBuilt()
	ts.Check(err)
	command(ts, neg, program, args)
}

// cmdExits runs the built belay and wants an exit code: `exits CODE ARGS…`.
func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	program, err := belayBuilt()
	ts.Check(err)
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(program, args[1:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("belay %s: exit code %d, not %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// cmdKubectl runs kubectl in the script's namespace: `kubectl ARGS…`.
func cmdKubectl(ts *testscript.TestScript, neg bool, args []string) {
	command(ts, neg, scriptOf(ts).Kubectl, args)
}

func command(ts *testscript.TestScript, neg bool, program string, args []string) {
	err := ts.Exec(program, args...)
	if neg == (err == nil) {
		ts.Fatalf("%s %s: %v", filepath.Base(program), strings.Join(args, " "), err)
	}
}

// cmdExpand replaces $NAME in files of the script: `expand FILE…`.
func cmdExpand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		path := ts.MkAbs(name)
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(path, []byte(text), 0o644))
	}
}

// cmdPush makes a directory of the script the whole content of the repository, commits and pushes it, and has the
// Syncs of the namespace look: `push DIR MESSAGE`. $COMMIT is the new commit.
func cmdPush(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: push DIR MESSAGE")
	}
	s := scriptOf(ts)
	_, err := s.git("rm", "-rfq", "--ignore-unmatch", ".")
	ts.Check(err)
	from := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(s.clone, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(os.Expand(string(text), ts.Getenv)), 0o644)
	}))
	_, err = s.git("add", "-A")
	ts.Check(err)
	_, err = s.git("commit", "--quiet", "--allow-empty", "-m", args[1])
	ts.Check(err)
	s.publish(ts)
}

// cmdRevert reverts the last commit and pushes: `revert`. $COMMIT is the new commit.
func cmdRevert(ts *testscript.TestScript, _ bool, _ []string) {
	s := scriptOf(ts)
	_, err := s.git("revert", "--no-edit", "HEAD")
	ts.Check(err)
	s.publish(ts)
}

func (s *script) publish(ts *testscript.TestScript) {
	_, err := s.git("push", "--quiet", "--force", "origin", "HEAD:main")
	ts.Check(err)
	commit, err := s.git("rev-parse", "HEAD")
	ts.Check(err)
	ts.Setenv("COMMIT", commit)
	s.started = time.Now()
	out, err := exec.Command(s.Kubectl, "--kubeconfig", s.kubeconfig, "annotate", "syncs", "--all", "--overwrite",
		"belay.dev/sync-at="+s.started.UTC().Format(time.RFC3339Nano)).CombinedOutput()
	if err != nil {
		ts.Fatalf("asking for a sync: %v\n%s", err, out)
	}
}

// cmdImage makes an image that answers a message over HTTP, or crashes, and pushes it: `image NAME:TAG MESSAGE
// [--crash]`. It goes to $PRIVATE if that is where NAME begins, or else to the cluster's registry. $DIGEST is its digest.
func cmdImage(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: image NAME:TAG MESSAGE [--crash]")
	}
	s := scriptOf(ts)
	name, to := args[0], []string{"--registry", s.Registry}
	if s.private != nil && strings.HasPrefix(name, s.private.address+"/") {
		name = strings.TrimPrefix(name, s.private.address+"/")
		to = []string{"--registry", s.private.address, "--username", s.private.user, "--password", s.private.password}
	}
	flags := append([]string{"image", "--name", name, "--builtin", "hello", "--message", args[1]}, to...)
	out, err := exec.Command(s.program, append(flags, args[2:]...)...).Output()
	if err != nil {
		ts.Fatalf("making image %s: %v", args[0], err)
	}
	ts.Setenv("DIGEST", strings.TrimSpace(string(out)))
}

// cmdUntil repeats a command until its output matches, for at most a minute: `until REGEXP COMMAND ARGS…`, where the
// command is kubectl or belay.
func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND ARGS…")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	program := scriptOf(ts).Kubectl
	if args[1] == "belay" {
		program, err = belayBuilt()
		ts.Check(err)
	}
	var out []byte
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		cmd := exec.Command(program, args[2:]...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+scriptOf(ts).kubeconfig)
		if out, _ = cmd.CombinedOutput(); want.Match(out) {
			fmt.Fprintf(ts.Stdout(), "%s", out)
			return
		}
	}
	ts.Fatalf("no match for %q within %s; last:\n%s", args[0], soon, out)
}

// cmdElapsed fails if more time has passed since the last push: `elapsed DURATION`.
func cmdElapsed(ts *testscript.TestScript, _ bool, args []string) {
	most, err := time.ParseDuration(args[0])
	ts.Check(err)
	took := time.Since(scriptOf(ts).started)
	ts.Logf("%.1fs since the push", took.Seconds())
	if took > most {
		ts.Fatalf("%.1fs since the push, %s is the most", took.Seconds(), most)
	}
}

// cmdService takes the Git server or the registry down, or brings it up again: `service git|registry down|up`.
func cmdService(ts *testscript.TestScript, _ bool, args []string) {
	answer, err := http.Post(scriptOf(ts).Control+"/"+args[0]+"/"+args[1], "", nil)
	ts.Check(err)
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		ts.Fatalf("%s %s: %s", args[0], args[1], answer.Status)
	}
}
