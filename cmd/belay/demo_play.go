package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// helloNode is the classic: three pods kept by a ReplicationController, and a Service.
var helloNode = template.Must(template.New("hello.yaml").Parse(`apiVersion: v1
kind: ReplicationController
metadata:
  name: hello
  annotations:
    version: {{ printf "%q" .Version }}
spec:
  replicas: 3
  selector: {app: hello}
  template:
    metadata:
      labels: {app: hello}
      {{- if .Fail }}
      annotations: {simulate.belay.dev/fail: {{ .Fail }}}
      {{- end }}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: hello
        image: {{ .Image }}
        imagePullPolicy: IfNotPresent
---
apiVersion: v1
kind: Service
metadata:
  name: hello
spec:
  selector: {app: hello}
  ports: [{port: 80, targetPort: 8080}]
`))

const demoSync = `apiVersion: belay.dev/v1alpha1
kind: Sync
metadata: {name: hello, namespace: default}
spec:
  source: {url: %q, interval: 1s}
  health: {timeout: 60s, stableFor: 2s}
`

// manifest is what a version of hello.yaml is made of.
type manifest struct{ Version, Image, Fail string }

// deploy is the first commit.
func (d *demo) deploy(ctx context.Context) (string, error) {
	digest, err := d.stage.image(ctx, "hello:latest", "v1")
	if err != nil {
		return "", err
	}
	commit, err := d.commit(ctx, "Deploy hello", manifest{Version: "1", Image: d.stage.Registry + "/hello:latest"})
	if err != nil {
		return "", err
	}
	if err := d.applyText(ctx, fmt.Sprintf(demoSync, d.stage.repository())); err != nil {
		return "", err
	}
	if _, err := d.follow(ctx, commit, exitOK); err != nil {
		return "", err
	}
	return d.running(ctx, commit, digest, "v1")
}

// moveTag gives hello:latest other bytes; the commit says no more than why.
func (d *demo) moveTag(ctx context.Context) (string, error) {
	digest, err := d.stage.image(ctx, "hello:latest", "v2")
	if err != nil {
		return "", err
	}
	commit, err := d.commit(ctx, "Take the new hello:latest", manifest{Version: "2", Image: d.stage.Registry + "/hello:latest"})
	if err != nil {
		return "", err
	}
	if _, err := d.follow(ctx, commit, exitOK); err != nil {
		return "", err
	}
	return d.running(ctx, commit, digest, "v2")
}

// breakIt pushes a release that crashes.
func (d *demo) breakIt(ctx context.Context) (string, error) {
	if _, err := d.stage.image(ctx, "hello:bad", "v3", "--crash"); err != nil {
		return "", err
	}
	bad := manifest{Version: "3", Image: d.stage.Registry + "/hello:bad"}
	if d.stage.Node != "real" {
		bad.Fail = "CrashLoopBackOff"
	}
	commit, err := d.commit(ctx, "Ship a bug", bad)
	if err != nil {
		return "", err
	}
	pushed := time.Now()
	told, err := d.follow(ctx, commit, exitRolledBack)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("commit %s  rolled back by itself %.1f s after the push:\n%21s %s", shortHash(commit), time.Since(pushed).Seconds(), "", told), nil
}

// revert takes the bad commit back. The cluster is there already, so that nothing has to be written.
func (d *demo) revert(ctx context.Context) (string, error) {
	before, err := d.versions(ctx)
	if err != nil {
		return "", err
	}
	if _, err := d.stage.git(ctx, "revert", "--no-edit", "HEAD"); err != nil {
		return "", err
	}
	commit, err := d.push(ctx)
	if err != nil {
		return "", err
	}
	if _, err := d.follow(ctx, commit, exitOK); err != nil {
		return "", err
	}
	after, err := d.versions(ctx)
	if err != nil {
		return "", err
	}
	if before != after {
		return "", errors.New("the revert has written objects that were right already:\n" + before + after)
	}
	return fmt.Sprintf("commit %s  recognised: the hold is over, no object was written", shortHash(commit)), nil
}

// commit writes hello.yaml, commits and pushes it.
func (d *demo) commit(ctx context.Context, message string, m manifest) (string, error) {
	var text bytes.Buffer
	if err := helloNode.Execute(&text, m); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(d.stage.clone(), "hello.yaml"), text.Bytes(), 0o644); err != nil {
		return "", err
	}
	if _, err := d.stage.git(ctx, "add", "hello.yaml"); err != nil {
		return "", err
	}
	if _, err := d.stage.git(ctx, "commit", "--quiet", "-m", message); err != nil {
		return "", err
	}
	return d.push(ctx)
}

func (d *demo) push(ctx context.Context) (commit string, err error) {
	if _, err := d.stage.git(ctx, "push", "--quiet", "origin", "HEAD:main"); err != nil {
		return "", err
	}
	commit, err = d.stage.git(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(commit), err
}

// follow waits for a commit to end as expected, and answers the last thing that was said of it.
func (d *demo) follow(ctx context.Context, commit string, expected int) (string, error) {
	flags := genericclioptions.NewConfigFlags(true)
	flags.KubeConfig = &d.stage.Kubeconfig
	c, _, err := connect(flags)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var said bytes.Buffer
	w := waiter{client: c, key: client.ObjectKey{Namespace: "default", Name: "hello"}, commit: commit, out: &said}
	err = w.wait(ctx)
	code := exitOK
	var e exit
	if errors.As(err, &e) {
		code = e.code
	} else if err != nil {
		return "", fmt.Errorf("waiting for commit %s: %w\n%s", shortHash(commit), err, said.String())
	}
	if code != expected {
		return "", fmt.Errorf("commit %s did not end as it should:\n%s", shortHash(commit), said.String())
	}
	return w.told, nil
}

// imagesOfPods is what runs in the pods that are not on their way out.
const imagesOfPods = `{{range .items}}{{if not .metadata.deletionTimestamp}}{{(index .status.containerStatuses 0).imageID}}{{"\n"}}{{end}}{{end}}`

// running proves that all pods run a digest and, where containers run, that the Service answers.
func (d *demo) running(ctx context.Context, commit, digest, answer string) (string, error) {
	ids, err := d.stage.kubectl(ctx, "get", "pods", "--selector=app=hello", "--output", "go-template="+imagesOfPods)
	if err != nil {
		return "", err
	}
	lines := strings.Fields(ids)
	for _, id := range lines {
		if !strings.HasSuffix(id, "@"+digest) {
			return "", fmt.Errorf("a pod runs %s, not %s", id, digest)
		}
	}
	told := fmt.Sprintf("commit %s  %d pods run %s", shortHash(commit), len(lines), digest[:19])
	if d.stage.Node != "real" {
		return told, nil
	}
	body, err := d.stage.kubectl(ctx, "get", "--raw", "/api/v1/namespaces/default/services/hello:80/proxy/")
	if err != nil {
		return "", err
	}
	if !strings.Contains(body, answer) {
		return "", fmt.Errorf("the Service answers %q, not %s", body, answer)
	}
	return told + ", the Service answers " + answer, nil
}

// versions are the resource versions of the application's objects: any write changes them.
func (d *demo) versions(ctx context.Context) (string, error) {
	return d.stage.kubectl(ctx, "get", "replicationcontrollers,services", "--output",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`)
}
