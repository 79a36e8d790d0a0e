package health

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
)

// Every file of the table can be read, every rule in it has a case in which it decides, and every case comes out as it
// says.
func TestTheTableIsRight(t *testing.T) {
	files, err := fs.Glob(table, "table/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		group := strings.TrimSuffix(strings.TrimPrefix(file, "table/"), ".yaml")
		t.Run(group, func(t *testing.T) {
			text, err := table.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := readGroup(text); err != nil {
				t.Fatal(err)
			}
			var content tableFile
			if err := yaml.Unmarshal(text, &content); err != nil {
				t.Fatal(err)
			}
			if content.Source == "" {
				t.Error("source: say where the statuses are documented")
			}
			for _, entry := range content.Kinds {
				entry.check(t, group)
			}
		})
	}
}

func (e tableKind) check(t *testing.T, group string) {
	compiled, err := e.compile()
	if err != nil {
		t.Fatal(err)
	}
	decided := make([]bool, len(compiled.list))
	for _, c := range e.Cases {
		u := c.object(t, group, e.Kinds[0])
		want, err := verdictOf(c.Health)
		if err != nil {
			t.Errorf("%s: %s: %v", e.Kinds, c.Name, err)
			continue
		}
		got := compiled.judge(u)
		if got.Condition != want.Condition || got.Bearing != want.Bearing || !strings.Contains(got.Message, c.Message) {
			t.Errorf("%s: %s: got %s %q %q, want %s %q", e.Kinds, c.Name, got.Condition, got.Reason, got.Message, c.Health, c.Message)
		}
		if got.Condition != manifests.Healthy && got.Message == "" || got.Condition == manifests.Unhealthy && got.Reason == "" {
			t.Errorf("%s: %s: %s without words: %q %q", e.Kinds, c.Name, got.Condition, got.Reason, got.Message)
		}
		vars := variables(u)
		for i, r := range compiled.list {
			if r.when.holds(vars) {
				decided[i] = true
				break
			}
		}
	}
	for i, hit := range decided {
		if !hit {
			t.Errorf("%s: rules[%d] (%s when %s) decides no case", e.Kinds, i, e.Rules[i].Health, e.Rules[i].When)
		}
	}
}

func (c tableCase) object(t *testing.T, group, kind string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{"apiVersion": group + "/v1", "kind": kind, "metadata": map[string]any{"name": "one"}}
	for key, value := range c.Object {
		content[key] = value
	}
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAWrongFileOfTheTableIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no verdict":      "source: x\nkinds: [{kinds: [A], rules: [{health: Fine, when: 'true'}]}]",
		"no CEL":          "source: x\nkinds: [{kinds: [A], rules: [{health: Failed, when: 'status.phase = 1'}]}]",
		"not a truth":     "source: x\nkinds: [{kinds: [A], rules: [{health: Failed, when: \"text('status.phase')\"}]}]",
		"twice":           "source: x\nkinds: [{kinds: [A, A], rules: []}]",
		"unknown field":   "source: x\nkinds: [{kinds: [A], rule: []}]",
		"not a text":      "source: x\nkinds: [{kinds: [A], rules: [{health: Failed, when: 'true', message: '1 + 1'}]}]",
		"wrong otherwise": "source: x\nkinds: [{kinds: [A], rules: [], otherwise: Good}]",
	} {
		if _, err := readGroup([]byte(text)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPeoplesExpressionsGoBeforeTheTable(t *testing.T) {
	own, err := Compile([]Expression{{
		APIVersion: "cert-manager.io/v1", Kind: "Issuer",
		Current: "status.phase == 'Up'", InProgress: "status.phase == 'Moving'", Failed: "status.phase == 'Lost'",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for phase, want := range map[string]manifests.Condition{
		"Up": manifests.Healthy, "Moving": manifests.Progressing, "Lost": manifests.Unhealthy, "": manifests.Progressing, "else": manifests.Progressing,
	} {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "cert-manager.io/v1", "kind": "Issuer"}}
		if phase != "" {
			u.Object["status"] = map[string]any{"phase": phase}
		}
		if got := Of(u, own).Condition; got != want {
			t.Errorf("phase %q: %s, want %s", phase, got, want)
		}
	}
}

func TestAnExpressionThatCannotBeReadIsNamed(t *testing.T) {
	for want, e := range map[string]Expression{
		"expressions[0].failed":     {APIVersion: "x/v1", Kind: "Db", Failed: "status.phase ="},
		"expressions[0].current":    {APIVersion: "x/v1", Kind: "Db", Current: "'Up'"},
		"expressions[0].apiVersion": {APIVersion: "a/b/c", Kind: "Db", Current: "true"},
	} {
		if _, err := Compile([]Expression{e}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want it to name %s", e, err, want)
		}
	}
}
