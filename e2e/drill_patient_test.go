package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// drill is a cluster with an agent, on which cases are played side by side.
type drill struct {
	target
	api     api
	kinds   discovery.DiscoveryInterface
	objects dynamic.Interface
	base    string // testdata/drill/app.yaml
	image   string // the application's
}

func newDrill(t *testing.T, c target) *drill {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	d := &drill{target: c, image: c.Registry + "/drill:v1"}
	if d.api, err = newAPI(c.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	if d.kinds, err = discovery.NewDiscoveryClientForConfig(config); err != nil {
		t.Fatal(err)
	}
	if d.objects, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	base, err := os.ReadFile(filepath.Join("testdata", "drill", "app.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d.base = string(base)
	d.pushImages(t)
	return d
}

// patient is a case under way: a Sync with a namespace and a repository of its own.
type patient struct {
	*script
	sickness
	d    *drill
	head string // the commit that was pushed last
	seen drillStatus
	from int64 // where in the audit log it came to rest
	took result
}

// drillStatus is what a Sync says of itself.
type drillStatus struct {
	Status struct {
		Phase      string
		Wanted     struct{ Commit string }
		Held       *struct{ Commit, Reason, Message string }
		History    []struct{ Commit, Result string }
		Conditions []struct{ Type, Status, Reason, Message string }
	}
}

func (s drillStatus) ready() (c struct{ Type, Status, Reason, Message string }) {
	for _, c := range s.Status.Conditions {
		if c.Type == "Ready" {
			return c
		}
	}
	return c
}

// patient makes the namespace and the repository of a case.
func (d *drill) patient(t *testing.T, c sickness) *patient {
	t.Helper()
	name := "drill-" + c.name
	p := &patient{d: d, sickness: c, took: result{name: c.name, node: d.Node}, script: &script{
		target: d.target, api: d.api, namespace: name, repository: d.Git + "/" + name + ".git", clone: t.TempDir(), kubeconfig: d.Kubeconfig,
	}}
	for _, command := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(d.GitRoot, name+".git")},
		{"init", "--quiet", "--initial-branch=main", p.clone},
		{"-C", p.clone, "remote", "add", "origin", p.repository},
		{"-C", p.clone, "config", "user.name", "Ana"},
		{"-C", p.clone, "config", "user.email", "ana@example.com"},
	} {
		if out, err := exec.Command("git", command...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	d.api.ask(t, http.MethodPost, "/api/v1/namespaces", "application/json", fmt.Sprintf(`{"metadata":{"name":%q}}`, name), &object{})
	return p
}

// expand puts names into a text.
func (p *patient) expand(text string) string {
	return os.Expand(text, func(name string) string {
		switch name {
		case "NS":
			return p.namespace
		case "IMAGE":
			return p.d.image
		case "REGISTRY":
			return p.Registry
		}
		return "$" + name
	})
}

// apply does what people do with kubectl.
func (p *patient) apply(t *testing.T, text string) {
	t.Helper()
	kubectl(t, p.target, p.expand(text), "apply", "--namespace="+p.namespace, "-f", "-")
}

// deploy has the good release kept.
func (p *patient) deploy(t *testing.T) {
	t.Helper()
	if p.before != "" {
		p.apply(t, p.before)
	}
	p.push(t, "good", p.goodRelease())
	health := p.health
	if health == "" {
		health = usualHealth
	}
	sync := fmt.Sprintf("apiVersion: belay.dev/v1alpha1\nkind: Sync\nmetadata: {name: app}\nspec:\n"+
		"  source: {url: %q, ref: {branch: main}, interval: 1h}\n  health: %s\n%s", p.repository, health, p.expand(p.spec))
	p.api.ask(t, http.MethodPost, "/apis/belay.dev/v1alpha1/namespaces/"+p.namespace+"/syncs", "application/yaml", sync, &object{})
	p.follow(t, 4*time.Minute, "the good release to be kept", p.isKept)
	p.rest(t)
}

// look asks the Sync to look at Git now.
func (p *patient) look(t *testing.T) {
	t.Helper()
	p.api.ask(t, http.MethodPatch, p.sync(), "application/merge-patch+json",
		fmt.Sprintf(`{"metadata":{"annotations":{"belay.dev/sync-at":%q}}}`, p.head), &object{})
}

func (p *patient) isKept() bool {
	return p.seen.Status.Phase == "Kept" && p.seen.Status.Wanted.Commit == p.head && p.isAtRest()
}

func (p *patient) isRefused() bool {
	switch p.seen.Status.Phase {
	case "RollingBack", "RolledBack", "RollbackFailed", "Failed":
		return true
	}
	return false
}

func (p *patient) isRolledBack() bool {
	return p.seen.Status.Phase == "RolledBack" && p.seen.Status.Held != nil && p.isAtRest()
}

func (p *patient) isRefusedBefore() bool {
	ready := p.seen.ready()
	return p.seen.Status.Wanted.Commit == p.head && p.seen.Status.Phase == "Kept" && ready.Status == "False"
}

func (p *patient) isAtRest() bool {
	for _, c := range p.seen.Status.Conditions {
		if c.Type == "Reconciling" && c.Status == "True" {
			return false
		}
	}
	return true
}

// follow watches the Sync until a condition holds for what it says of itself.
func (p *patient) follow(t *testing.T, most time.Duration, what string, condition func() bool) {
	t.Helper()
	path := fmt.Sprintf("/apis/belay.dev/v1alpha1/namespaces/%s/syncs?watch=1&timeoutSeconds=%.0f", p.namespace, most.Seconds())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.api.server+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.api.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for events := json.NewDecoder(answer.Body); ; {
		var event struct{ Object drillStatus }
		err := events.Decode(&event)
		if err == io.EOF {
			t.Fatalf("waited %s in vain for %s: phase %s, %v", most, what, p.seen.Status.Phase, p.seen.ready())
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.seen = event.Object; condition() {
			return
		}
	}
}

// rest remembers where the audit log is when there is nothing left to do.
func (p *patient) rest(t *testing.T) {
	t.Helper()
	if p.AuditLog == "" {
		return
	}
	_, end, err := p.audit(p.from)
	if err != nil {
		t.Fatal(err)
	}
	p.from = end
}
