package health

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
)

// corpus holds objects with the health that other tools' own tests expect of them, where it is to be had. What it is worth
// to us is the count of agreements, by source.
const corpus = "../../../shared/corpora/health"

// corpusCase is a line of its index.
type corpusCase struct {
	file, source string
	want         string // Healthy, Progressing, Degraded, Suspended, Unknown, Missing; None where there is no rule
}

func corpusCases(t *testing.T) []corpusCase {
	t.Helper()
	index, err := os.Open(filepath.Join(corpus, "index.csv"))
	if err != nil {
		t.Skip("the corpus is not here:", err)
	}
	defer index.Close()
	rows, err := csv.NewReader(index).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var cases []corpusCase
	for _, row := range rows[1:] {
		cases = append(cases, corpusCase{row[column["file"]], row[column["source"]], row[column["expected_as_health"]]})
	}
	return cases
}

func (c corpusCase) object(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, c.file))
	if err != nil {
		t.Fatal(err)
	}
	body, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	return u
}

// agreement is how many of a hundred cases of a source are to agree. kstatus is told of, and not aimed at: it contradicts
// the others.
var agreement = map[string]int{"argo-lua": 95, "argo-builtin": 95}

// everyGroup has all disagreements listed in docs/health.md, also those of groups that the table has no file for.
const everyGroup = true

func TestAgreementWithOtherTools(t *testing.T) {
	agreed, all := map[string]int{}, map[string]int{}
	for _, c := range corpusCases(t) {
		if c.want == "None" {
			continue
		}
		all[c.source]++
		if got, verdict := c.judge(t); got == c.want {
			agreed[c.source]++
		} else {
			t.Logf("%s: %s (%s: %s), and others say %s", c.file, got, verdict.Reason, verdict.Message, c.want)
		}
	}
	for source, n := range all {
		t.Logf("%s: %d of %d agree", source, agreed[source], n)
		if agreed[source]*100 < agreement[source]*n {
			t.Errorf("%s: %d of %d agree, and %d of 100 are to", source, agreed[source], n, agreement[source])
		}
	}
}

// judge is the verdict on a case, in the words of its index.
func (c corpusCase) judge(t *testing.T) (word string, verdict manifests.Health) {
	t.Helper()
	verdict = Of(c.object(t), Rules{})
	if verdict.Condition == manifests.Unhealthy {
		return "Degraded", verdict
	}
	return string(verdict.Condition), verdict
}

// listed finds the cases in docs/health.md: a row of a table that begins with a file.
var listed = regexp.MustCompile("(?m)^\\| `([^`]+/[^`]+\\.yaml)` \\|.*\\|.*\\| *[^ |]")

// Each case that others judge otherwise is listed in docs/health.md with the reason, and no other is.
func TestEachDisagreementIsListedWithItsReason(t *testing.T) {
	text, err := os.ReadFile("../../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, row := range listed.FindAllStringSubmatch(string(text), -1) {
		told["cases/"+row[1]] = true
	}
	if len(told) == 0 {
		t.Error("docs/health.md lists none: has the form of its rows changed?")
	}
	for _, c := range corpusCases(t) {
		got, _ := c.judge(t)
		disagrees := c.want != "None" && got != c.want
		switch {
		case disagrees && !told[c.file] && (everyGroup || isRuled(c.object(t))):
			t.Errorf("%s: %s, and others say %s: list it in docs/health.md with the reason", c.file, got, c.want)
		case !disagrees && told[c.file]:
			t.Errorf("%s is listed in docs/health.md, and others say %s as well", c.file, got)
		}
		delete(told, c.file)
	}
	for file := range told {
		t.Errorf("%s is listed in docs/health.md, and is no case", file)
	}
}

// isRuled tells whether we have rules for an object's kind, beside the conventions.
func isRuled(u *unstructured.Unstructured) bool {
	kind := u.GroupVersionKind().GroupKind()
	_, known := kinds[kind]
	_, inTable := tabled(kind)
	return known || inTable
}
