// activate(x), by the constant ACTIVATION: none, gelu, gelu_new, relu, silu, tanh, sigmoid.

#if ACTIVATION == gelu
// Abramowitz and Stegun 7.1.26: absolute error 1.5e-7.
fn erf(x: f32) -> f32 {
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let poly = t * (0.254829592 + t * (-0.284496736
        + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - poly * exp(-a * a));
}
#endif

#if ACTIVATION == gelu_new || ACTIVATION == tanh
// The built-in tanh is computed from e^x on some drivers and is NaN from |x| = 89 on.
fn safe_tanh(x: f32) -> f32 {
    let e = exp(-2.0 * abs(x));
    return sign(x) * (1.0 - e) / (1.0 + e);
}
#endif

fn activate(x: f32) -> f32 {
#if ACTIVATION == gelu
    return 0.5 * x * (1.0 + erf(x * 0.70710678));
#elif ACTIVATION == gelu_new
    return 0.5 * x * (1.0 + safe_tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
#elif ACTIVATION == relu
    return max(x, 0.0);
#elif ACTIVATION == silu
    let e = exp(-abs(x)); // never overflows
    return x * select(1.0, e, x < 0.0) / (1.0 + e);
#elif ACTIVATION == tanh
    return safe_tanh(x);
#elif ACTIVATION == sigmoid
    let e = exp(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
#else
    return x;
#endif
}
