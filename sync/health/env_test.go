package health

import (
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"

	"github.com/belay-gitops/belay/manifests"
)

const aDatabase = `{apiVersion: example.org/v1, kind: Db, metadata: {name: db, labels: {tier: "1"}}, spec: {replicas: 3},
	status: {phase: Up, ready: "2", share: 1.5, flag: true, list: [a, b], nothing: null, conditions: [
		{type: Ready, status: true, reason: Fine, message: all is well, observedGeneration: 3}, 7,
		{type: Synced, status: "False"}]}, data: {key: value}}`

func TestExpressionsSeeTheObject(t *testing.T) {
	vars := variables(live(t, aDatabase))
	for text, want := range map[string]bool{
		"object.status.phase == 'Up' && status.phase == 'Up' && kind == 'Db' && apiVersion == 'example.org/v1'": true,
		"metadata.labels.tier == '1' && data.key == 'value'":                                                    true,
		"text('status.phase') == 'Up' && text('status.flag') == 'true' && text('status.share') == '1.5'":        true,
		"text('status.list') == '' && text('status.nothing') == '' && text('a.b.c') == '' && text('') == ''":    true,
		"text('status.phase.deeper') == '' && text('status..phase') == ''":                                      true,
		"number('status.ready') == 2 && number('spec.replicas') == 3 && number('status.share') == 1":            true,
		"number('status.phase') == 0 && number('status.list') == 0 && number('nowhere') == 0":                   true,
		"number('status.ready') < spec.replicas && status.share > 1":                                            true,
		"condition('Ready').status == 'True' && condition('Ready').observedGeneration == '3'":                   true,
		"condition('Synced').status == 'False' && condition('Synced').reason == ''":                             true,
		"condition('Other').type == '' && condition('').message == ''":                                          true,
		"status.conditions.exists(c, has(c.type) && c.type == 'Synced')":                                        true, // 7 has no fields, which matters to nobody
		"status.list[0] == 'a' && status.list.size() == 2 && 'b' in status.list":                                true,
		"status.?missing.orValue('none') == 'none'":                                                             true,
		"status.missing == 'x'":                                false,
		"!has(status.missing) && !has(spec.template)":          true,
		"status.phase == 7":                                    false,
		"text('status.phase').lowerAscii() in ['up', 'ready']": true,
	} {
		e, err := compile(text, cel.BoolType)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := e.holds(vars); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestAnExpressionOfAnObjectWithoutAStatusIsFalseAndNoPanic(t *testing.T) {
	for _, object := range []string{
		"{apiVersion: v1, kind: X}", "{apiVersion: v1, kind: X, status: null}", "{apiVersion: v1, kind: X, status: text, metadata: 7, spec: [], data: true}",
	} {
		vars := variables(live(t, object))
		for _, text := range []string{"status.phase == 'Up'", "text('status.phase') == 'Up'", "condition('Ready').status == 'True'", "metadata.name == 'x'", "spec.size() > 3"} {
			e, err := compile(text, cel.BoolType)
			if err != nil {
				t.Fatal(err)
			}
			if e.holds(vars) {
				t.Errorf("%s holds for %s", text, object)
			}
		}
	}
}

// An expression that would take for ever is cut off, and is not true.
func TestACostlyExpressionIsCutOff(t *testing.T) {
	list := "[" + strings.Repeat("1,", 199) + "1]"
	costly := list + ".all(a, " + list + ".all(b, " + list + ".all(c, " + list + ".all(d, a + b + c + d > 0))))"
	e, err := compile(costly, cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, _, err = e.program.Eval(variables(live(t, aDatabase)))
	if err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("1.6 billion steps ended after %s with %v", time.Since(begin), err)
	}
	if e.holds(variables(live(t, aDatabase))) {
		t.Error("it holds")
	}
	own, err := Compile([]Expression{{APIVersion: "example.org/v1", Kind: "Db", Current: costly}})
	if err != nil {
		t.Fatal(err)
	}
	if got := Of(live(t, aDatabase), own); got.Condition != manifests.Progressing {
		t.Errorf("got %+v", got)
	}
}

func TestAnExpressionWhoseResultMayBeOfAnySizeIsRefused(t *testing.T) {
	for text, refused := range map[string]bool{
		"'a'.replace('', 'b') == ''":                true,
		"'%s'.format(['a']) == ''":                  true,
		"lists.range(1000000000).size() > 0":        true,
		"['a'].join(text('status.phase')) == ''":    true,
		"['a'].map(x, ['b'].join(x)).size() > 0":    true,
		"['a', 'b'].join(', ') == 'a, b'":           false,
		"['a', 'b'].join() == 'ab'":                 false,
		"text('status.phase').split(' ')[0] == 'a'": false,
	} {
		if _, err := compile(text, cel.BoolType); (err != nil) != refused {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is slow by itself, and counted only when it is done, has to be bounded before.
func TestNoFunctionTakesLongByItself(t *testing.T) {
	const n = 300_000
	u, list := live(t, aDatabase), make([]any, n)
	for i := range list {
		list[i] = int64(i)
	}
	u.Object["status"] = map[string]any{"text": strings.Repeat("a", n), "short": strings.Repeat("a", 1000), "part": strings.Repeat("a", n/2) + "b", "list": list}
	for _, text := range []string{
		"status.text.matches('(a?b?){500}c')", "status.text.matches(status.part)", "status.list.all(n, status.short.matches('(a?b?){500}c') || n >= 0)", "status.text.indexOf(status.part) > 0",
		"status.text.lastIndexOf(status.part) > 0", "sets.contains(status.list, status.list)", "sets.intersects(status.list, [-1])",
		"sets.equivalent(status.list, status.list)", "status.list == status.list", "status.text.contains(status.part)",
	} {
		e, err := compile(text, cel.BoolType)
		if err != nil {
			continue // it is refused
		}
		begin := time.Now()
		e.holds(variables(u))
		if took := time.Since(begin); took > 20*time.Second { // unbounded, each takes longer by itself; the race detector's share is in it
			t.Errorf("%s took %s", text, took)
		}
	}
}

func TestAPatternIsMatched(t *testing.T) {
	for text, want := range map[string]bool{
		"'v12-a'.matches('^v[0-9]+-')": true, "'v-a'.matches('^v[0-9]+-')": false, "matches('ab', 'b$')": true,
	} {
		e, err := compile(text, cel.BoolType)
		if err != nil || e.holds(variables(live(t, aDatabase))) != want {
			t.Errorf("%s: %v, want %t", text, err, want)
		}
	}
	for _, text := range []string{"'a'.matches('(')", "'a'.matches(kind)"} {
		if _, err := compile(text, cel.BoolType); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestManyCallsOfOurOwnFunctionsAreCutOff(t *testing.T) {
	u := live(t, aDatabase)
	list := make([]any, 1000)
	for i := range list {
		list[i] = map[string]any{"type": "Ready", "status": "True"}
	}
	u.Object["status"] = map[string]any{"conditions": list}
	e, err := compile("status.conditions.all(a, status.conditions.all(b, condition('Other').status == ''))", cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	if e.holds(variables(u)) {
		t.Error("a million calls came to an end")
	}
}

func TestTheTextsOfAVerdictAreOneLineOfBoundedLength(t *testing.T) {
	u := live(t, `{apiVersion: example.org/v1, kind: Db}`)
	u.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": "Stalled", "status": "True", "reason": strings.Repeat("Long", 100),
		"message": "a\x00\x1b[31mred\r\n  and\u202e more\u2028\t" + strings.Repeat("é", 100_000) + "\xff",
	}}}
	got := Of(u, Rules{})
	if n := len([]rune(got.Message)); n != 512 || !strings.HasSuffix(got.Message, "é…") {
		t.Errorf("the message has %d characters: %.60q", n, got.Message)
	}
	if !strings.HasPrefix(got.Message, "a [31mred and more éé") {
		t.Errorf("the message begins with %.40q", got.Message)
	}
	if n := len([]rune(got.Reason)); n != 64 {
		t.Errorf("the reason has %d characters", n)
	}
}
