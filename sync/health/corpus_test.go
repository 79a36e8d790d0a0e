package health

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
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

func TestAgreementWithOtherTools(t *testing.T) {
	agreed, all := map[string]int{}, map[string]int{}
	for _, c := range corpusCases(t) {
		if c.want == "None" {
			continue
		}
		all[c.source]++
		verdict := Of(c.object(t), Rules{})
		got := string(verdict.Condition)
		if got == "Failed" {
			got = "Degraded"
		}
		if got == c.want {
			agreed[c.source]++
		} else {
			t.Logf("%s: %s (%s: %s), and others say %s", c.file, got, verdict.Reason, verdict.Message, c.want)
		}
	}
	for source, n := range all {
		t.Logf("%s: %d of %d agree", source, agreed[source], n)
	}
}
