package health

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	gosync "sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// expression is a compiled CEL expression over an object.
type expression struct{ program cel.Program }

// costLimit bounds what evaluating one expression may cost, in CEL's units. Whoever may write a Sync may write
// expressions, and an agent serves many: the costliest that is let end takes a fraction of a second.
const costLimit = 200_000

// memberCost is what one call of our own functions costs: they look through all conditions, or along a path.
const memberCost = 50

// unbounded are functions whose result may be far larger than what they are given, or that look for one long text in
// another letter by letter. Both are counted too late.
var unbounded = []string{"replace", "format", "indexOf", "lastIndexOf"}

// longestMatched is how long a text may be that a pattern of one letter is matched with, in bytes; one of ten letters
// matches a tenth of that.
const longestMatched = 4 << 20

// environment is what expressions see: the object, its top-level fields under their own names, and
//
//	condition('Ready')    the type, status, reason, message and observedGeneration of a condition, each a text, empty
//	                      where there is none
//	text('status.phase')  a field as a text, empty where there is none
//	number('status.n')    a field as an integer, 0 where there is none
var environment = gosync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), ext.Strings(), // without sets, which compare all with all
		ext.Lists(ext.ListsVersion(1)), // without lists.range, which makes lists of any length
		cel.Variable("object", cel.DynType), cel.Variable("metadata", cel.DynType), cel.Variable("spec", cel.DynType),
		cel.Variable("status", cel.DynType), cel.Variable("data", cel.DynType),
		cel.Variable("apiVersion", cel.StringType), cel.Variable("kind", cel.StringType),
		member("condition", cel.MapType(cel.StringType, cel.StringType), func(object map[string]any, name string) ref.Val {
			return types.DefaultTypeAdapter.NativeToValue(conditionOf(object, name))
		}),
		member("text", cel.StringType, func(object map[string]any, path string) ref.Val {
			return types.String(textOf(object, path))
		}),
		member("number", cel.IntType, func(object map[string]any, path string) ref.Val {
			return types.Int(numberOf(object, path))
		}),
		cel.Macros(ofObject("condition"), ofObject("text"), ofObject("number")),
	)
})

// member declares object.name('…').
func member(name string, result *cel.Type, of func(object map[string]any, argument string) ref.Val) cel.EnvOption {
	return cel.Function(name, cel.MemberOverload("object_"+name, []*cel.Type{cel.DynType, cel.StringType}, result,
		cel.BinaryBinding(func(object, argument ref.Val) ref.Val {
			content, ok := object.Value().(map[string]any)
			if !ok {
				return types.NewErr("%s is a function of the object", name)
			}
			return of(content, fmt.Sprint(argument.Value()))
		})))
}

// ofObject lets name('…') stand for object.name('…').
func ofObject(name string) cel.Macro {
	return cel.GlobalMacro(name, 1, func(eh cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
		return eh.NewMemberCall(name, eh.NewIdent("object"), args[0]), nil
	})
}

// compile reads an expression that answers a value of a type.
func compile(text string, result *cel.Type) (expression, error) {
	env, err := environment()
	if err != nil {
		return expression{}, err
	}
	checked, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return expression{}, err
	}
	if got := checked.OutputType(); !got.IsExactType(result) && !got.IsExactType(cel.DynType) {
		return expression{}, fmt.Errorf("it gives a %s, and should give a %s", got, result)
	}
	if err := checkBounded(checked); err != nil {
		return expression{}, err
	}
	matches := patterns{}
	program, err := env.Program(checked, cel.CostLimit(costLimit), cel.OptimizeRegex(matches.bounded()), cel.CostTrackerOptions(
		interpreter.OverloadCostTracker("matches_string", matches.costs), interpreter.OverloadCostTracker("matches", matches.costs),
		interpreter.OverloadCostTracker("object_condition", memberCosts),
		interpreter.OverloadCostTracker("object_text", memberCosts),
		interpreter.OverloadCostTracker("object_number", memberCosts)))
	return expression{program}, err
}

func memberCosts([]ref.Val, ref.Val) *uint64 {
	cost := uint64(memberCost)
	return &cost
}

// patterns are those of an expression's matches(), with their states: how long it takes grows with them as well as with
// the text, and CEL would count the text alone, when it is done.
type patterns map[string]int

func (p patterns) bounded() *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{Function: "matches", RegexIndex: 1, Factory: p.matching}
}

// costs is what one match costs: a hundred steps of it are a unit.
func (p patterns) costs(args []ref.Val, _ ref.Val) *uint64 {
	text, _ := args[0].Value().(string)
	pattern, _ := args[1].Value().(string)
	cost := uint64(1 + len(text)*p[pattern]/100)
	return &cost
}

func (p patterns) matching(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	states, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	p[pattern] = len(states.Inst)
	longest := longestMatched / len(states.Inst)
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(values ...ref.Val) ref.Val {
		text, ok := values[0].Value().(string)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		if len(text) > longest {
			return types.NewErr("a text of more than %d bytes is not matched with this pattern", longest)
		}
		return types.Bool(compiled.MatchString(text))
	}), nil
}

// checkBounded refuses what could take all memory before its cost is counted.
func checkBounded(checked *cel.Ast) error {
	root := ast.NavigateAST(checked.NativeRep())
	for _, name := range unbounded {
		if len(ast.MatchDescendants(root, ast.FunctionMatcher(name))) > 0 {
			return fmt.Errorf("%s cannot be used here: it may take any time or memory", name)
		}
	}
	for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher("matches")) {
		if args := call.AsCall().Args(); args[len(args)-1].Kind() != ast.LiteralKind {
			return errors.New("matches takes a pattern in quotes, and nothing else")
		}
	}
	for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher("join")) {
		for _, separator := range call.AsCall().Args() {
			if separator.Kind() != ast.LiteralKind {
				return errors.New("join takes a separator in quotes, and nothing else")
			}
		}
	}
	return nil
}

// variables are what an object is to expressions.
func variables(u *unstructured.Unstructured) map[string]any {
	vars := map[string]any{"object": u.Object, "apiVersion": u.GetAPIVersion(), "kind": u.GetKind()}
	for _, field := range []string{"metadata", "spec", "status", "data"} {
		vars[field] = map[string]any{}
		if content, ok := u.Object[field]; ok && content != nil {
			vars[field] = content
		}
	}
	return vars
}

// holds tells whether an expression is true. One that reads a field which is not there is not.
func (e expression) holds(vars map[string]any) bool {
	value, _, err := e.program.Eval(vars)
	return err == nil && value == types.True
}

// text is what an expression gives, as a text; empty where it gives none.
func (e expression) text(vars map[string]any) string {
	value, _, err := e.program.Eval(vars)
	if err != nil {
		return ""
	}
	text, _ := value.Value().(string)
	return strings.TrimSpace(text)
}
