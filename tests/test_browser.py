"""The pages in a real browser: every button, the live chart, phones, links, restarts."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from app.routes import STATIC, address, plotly_address
from lib.style import waiting_figure
from tests.conftest import Server

expect.set_options(timeout=20_000)  # for two busy cores; nothing here is timed
LOSS = ".unrolled-chart >> nth=0"
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 17, 24)"}


def open_echo(page: Page, server: Server, query: str = "epochs=1000") -> None:
    page.goto(f"{server.url}/echo?{query}")
    expect(button(page, "Start")).to_be_enabled(timeout=30_000)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=re.compile(rf"(^|\s){name}(\s|$)")).first


def wait_for_state(page: Page, state: str) -> None:
    expect(page.locator(".unrolled-status")).to_have_attribute("data-state", state, timeout=60_000)


def step_now(page: Page) -> int:
    text = page.locator("[data-figure=step]").inner_text()
    return int(re.search(r"([\d,]+) of", text).group(1).replace(",", ""))  # type: ignore[union-attr]


def settled_step(page: Page) -> int:
    """The step of a paused run, when the chunk that was under way has been shown."""
    before, step = -1, step_now(page)
    while step != before:
        page.wait_for_timeout(500)
        before, step = step, step_now(page)
    return step


def draws(page: Page) -> int:
    return int(page.locator(LOSS).get_attribute("data-draws") or 0)


def wait_for_draws(page: Page, more: int) -> None:
    target = draws(page) + more
    page.wait_for_function(
        "n => Number(document.querySelector('.unrolled-chart').dataset.draws) >= n", arg=target, timeout=30_000
    )


def test_home_has_a_card_for_each_demo(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Unrolled")).to_be_visible(timeout=30_000)
    button(page, "Open Echo").click()
    page.wait_for_url("**/echo*")
    expect(page.get_by_role("heading", name="Echo")).to_be_visible(timeout=30_000)


def test_every_button_of_the_run_bar_and_the_space_bar(page: Page, server: Server) -> None:
    open_echo(page, server)
    for name in ("Pause", "Resume", "Stop", "Rewind"):
        expect(button(page, name)).to_be_disabled()
    button(page, "Start").click()
    wait_for_state(page, "running")
    expect(button(page, "Pause")).to_be_enabled()

    button(page, "Pause").click()
    wait_for_state(page, "paused")
    expect(button(page, "Step")).to_be_enabled()
    before = settled_step(page)
    button(page, "Step").click()
    expect(page.locator("[data-figure=step]")).to_contain_text(f"{before + 1:,} of")

    button(page, "Resume").click()
    wait_for_state(page, "running")
    expect(button(page, "Pause")).to_be_enabled()
    page.locator("h1").click()
    page.keyboard.press("Space")
    wait_for_state(page, "paused")
    expect(button(page, "Resume")).to_be_enabled()
    page.keyboard.press("Space")
    wait_for_state(page, "running")
    wait_for_draws(page, 3)
    button(page, "Stop").click()
    wait_for_state(page, "stopped")
    expect(button(page, "Resume")).to_be_disabled()

    button(page, "Rewind").click()
    wait_for_state(page, "paused")
    assert step_now(page) == 0

    button(page, "New seed").click()
    wait_for_state(page, "running")
    expect(page).to_have_url(re.compile(r"seed=\d+"))
    button(page, "Stop").click()
    wait_for_state(page, "stopped")


def test_step_without_a_run_makes_one_and_does_one_step(page: Page, server: Server) -> None:
    open_echo(page, server)
    button(page, "Step").click()
    wait_for_state(page, "paused")
    expect(page.locator("[data-figure=step]")).to_contain_text("1 of")
    assert step_now(page) == 1


def test_the_chart_keeps_its_element_and_zoom_through_updates_reruns_and_themes(page: Page, server: Server) -> None:
    open_echo(page, server)
    button(page, "Start").click()
    wait_for_state(page, "running")
    wait_for_draws(page, 3)
    page.evaluate("document.querySelector('.unrolled-chart').mark = 'the same'")
    plot = page.locator(f"{LOSS} >> .nsewdrag").first
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 160, steps=8)
    page.mouse.up()
    zoomed = page.evaluate("document.querySelector('.unrolled-chart').layout.xaxis.range")

    def still() -> None:
        assert page.evaluate("document.querySelector('.unrolled-chart').mark") == "the same"
        assert page.evaluate("document.querySelector('.unrolled-chart').layout.xaxis.range") == zoomed

    wait_for_draws(page, 10)
    still()
    page.get_by_text("30 steps", exact=True).click()  # the script runs again
    expect(page.locator(f"{LOSS} >> .legend")).to_contain_text("smoothed over 30 steps")
    wait_for_draws(page, 3)
    still()
    page.emulate_media(color_scheme="dark")
    wait_for_draws(page, 3)
    still()
    button(page, "Stop").click()


OVERTAKEN = """async ([live, html, data]) => {
    const { chart } = await import(live)
    const parentElement = document.createElement("div")
    parentElement.innerHTML = html
    document.querySelector("[data-testid=stMain]").prepend(parentElement)
    const component = { parentElement, data, setTriggerValue() {} }
    chart(component)
    const leave = chart(component)
    leave()
    await new Promise(resolve => setTimeout(resolve, 200))
    window.leave = () => (parentElement.remove(), leave(), parentElement.unrolled.ended)
    return parentElement.unrolled.ended
}"""


def test_a_chart_ends_when_it_has_gone_and_not_when_a_call_was_overtaken(page: Page, server: Server) -> None:
    """Streamlit cleans up after both; while the script was being loaded, the call that it takes back may be the last."""
    page.goto(server.url)
    page.locator("[data-testid=stMain]").wait_for()
    data = {"name": "late", "run": None, "figure": waiting_figure(), "height": 300, "plotly": plotly_address()}
    html = (STATIC / "chart.html").read_text(encoding="utf-8")
    assert page.evaluate(OVERTAKEN, [address("live.js"), html, data]) is False
    expect(page.locator("[data-name=late]")).to_have_attribute("data-draws", "1")
    assert page.evaluate("window.leave()") is True


def test_a_live_setting_takes_effect_and_a_new_network_is_offered(page: Page, server: Server) -> None:
    open_echo(page, server)
    button(page, "Start").click()
    wait_for_state(page, "running")
    slider = page.get_by_role("slider", name=re.compile("Learning rate"))
    slider.focus()
    slider.press("ArrowLeft")
    expect(page).to_have_url(re.compile("learning_rate=0.2"))
    button(page, "Share").click()
    expect(
        page.get_by_text(re.compile(r"/echo\?.*learning_rate=0\.2"))
    ).to_be_visible()  # though only the slider was drawn again
    page.keyboard.press("Escape")
    expect(page.get_by_text("A new network is needed")).to_have_count(0)
    wait_for_state(page, "running")
    size = page.get_by_role("slider", name=re.compile("State size"))
    size.focus()
    size.press("ArrowRight")
    expect(page.get_by_text("A new network is needed")).to_be_visible()
    page.get_by_role("button", name="Start with these settings").click()
    expect(page.get_by_text("A new network is needed")).to_have_count(0)
    wait_for_state(page, "running")
    button(page, "Stop").click()


def test_a_bad_address_is_clamped_and_said(page: Page, server: Server) -> None:
    open_echo(page, server, "state_size=9999&echo_step=abc&cell=transformer&learning_rate=nan")
    notes = page.get_by_text("state_size = 9999 is above 64, so 64 is used.")
    expect(notes).to_be_visible()
    for name in ("echo_step", "cell", "learning_rate"):
        expect(page.get_by_text(re.compile(rf"{name} = "))).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?state_size=64$"))
    page.get_by_role("button", name="Understood").click()
    expect(notes).to_have_count(0)


def test_an_experiment_asks_runs_and_explains(page: Page, server: Server) -> None:
    open_echo(page, server, "")
    expect(page.get_by_role("button", name="Run the experiment")).to_be_disabled()
    page.get_by_text("below 0.05: it learns the echo").click()
    page.get_by_role("button", name="Run the experiment").click()
    wait_for_state(page, "finished")
    expect(page.get_by_text("You were right.")).to_be_visible()
    expect(page.get_by_text("The mean loss of the last 100 steps was")).to_be_visible()


def test_the_coach_says_what_it_sees_and_its_button_does_it(page: Page, server: Server) -> None:
    open_echo(page, server, "echo_step=16&epochs=3")
    button(page, "Start").click()
    offer = page.get_by_role("button", name="Use a window of 21 steps")
    expect(offer).to_be_visible(timeout=30_000)
    offer.click()
    expect(page).to_have_url(re.compile("truncated_backprop_length=21"))
    wait_for_state(page, "finished")


def test_a_reload_finds_the_run_with_all_its_charts_as_text_and_a_link_shows_it_to_others(
    page: Page, browser: Browser, server: Server
) -> None:
    page.set_viewport_size({"width": 1400, "height": 2400})  # charts below the fold are drawn when they are seen
    open_echo(page, server, "epochs=2")
    button(page, "Start").click()
    wait_for_state(page, "finished")
    page.reload()
    wait_for_state(page, "finished")
    assert step_now(page) == 1332
    charts = page.locator(".unrolled-chart[role=img]")
    expect(charts).to_have_count(3)
    for chart in charts.all():
        expect(chart).to_have_attribute("aria-label", re.compile(r"\d"))
    expect(charts.nth(0)).to_have_attribute("aria-label", re.compile(r"at step 1,332"))
    button(page, "Share").click()
    link = page.get_by_text(re.compile(r"/echo\?run=")).first.inner_text()

    other = browser.new_context().new_page()
    other.goto(link.strip())
    wait_for_state(other, "finished")
    expect(other.get_by_text("You are watching a run that somebody shared")).to_be_visible()
    expect(button(other, "Rewind")).to_be_disabled()
    expect(button(other, "Start")).to_be_enabled()
    other.context.close()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    open_echo(page, server, "epochs=2")
    button(page, "Start").click()
    wait_for_state(page, "finished")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(page.locator(".stApp")).to_have_css("background-color", BACKGROUNDS[scheme])
        page.wait_for_timeout(500)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
        widths = page.evaluate(
            "[...document.querySelectorAll('.unrolled-chart')].map(c => c.getBoundingClientRect().right)"
        )
        assert len(widths) == 3
        assert max(widths) <= 390
    context.close()


# Sweeps and runs


def fill(page: Page, label: str, at: int, text: str) -> None:
    box = page.get_by_role("textbox", name=label).nth(at)
    box.fill(text)
    box.press("Enter")


def test_a_sweep_fills_in_live_and_a_click_opens_a_cells_run(page: Page, server: Server) -> None:
    open_echo(page, server, "")
    page.get_by_role("tab", name="Sweep").click()
    for at, values in enumerate(("1:2", "2, 4")):
        fill(page, "Values", at, values)
    expect(page.get_by_text("4 cells × 8 networks")).to_be_visible()
    button(page, "Start the sweep").click()
    strip = page.locator(".unrolled-status").last
    expect(strip).to_have_attribute("data-state", "finished", timeout=60_000)
    expect(strip.locator("[data-figure=step]")).to_have_text("4 of 4")
    map_ = page.locator("[data-name=sweep_loss]")
    map_.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => document.querySelector('[data-name=sweep_loss]').data?.[0].z.flat().every(value => value !== null)"
    )
    place = map_.evaluate("""node => {
      const box = node.getBoundingClientRect(), { xaxis: x, yaxis: y } = node._fullLayout
      return [box.x + x._offset + x.l2p(0), box.y + y._offset + y.l2p(1)]
    }""")
    page.mouse.click(*place)
    expect(page.locator(".unrolled-status").first).to_have_attribute("data-state", "finished", timeout=30_000)
    expect(page).to_have_url(re.compile("echo_step=1"))
    expect(page.locator("[data-figure=step]").first).to_have_text("1,998 of 1,998")


def test_a_run_and_a_sweep_survive_a_restart_and_open_streams_do_not_hold_it_up(page: Page, tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        _begin_both(page, server)
        page.goto("about:blank")  # the console of a page whose server goes away is not silent
        assert server.stop() < 10
        server.start()
        _resume_both(page, server)
    finally:
        page.goto("about:blank")
        server.stop()


def _begin_both(page: Page, server: Server) -> None:
    open_echo(page, server)
    button(page, "Start").click()
    wait_for_state(page, "running")
    wait_for_draws(page, 5)
    page.goto("about:blank")
    page.goto(f"{server.url}/echo?epochs=1000")
    wait_for_state(page, "running")
    page.get_by_role("tab", name="Sweep").click()
    for at, values in enumerate(("1:40", "4")):
        fill(page, "Values", at, values)
    page.get_by_role("spinbutton", name="Epochs").last.fill("30")
    page.get_by_role("spinbutton", name="Epochs").last.press("Enter")
    expect(page.get_by_text("40 cells × 8 networks")).to_be_visible()
    button(page, "Start the sweep").click()
    strip = page.locator(".unrolled-status").last
    expect(strip.locator("[data-figure=step]")).to_have_text(re.compile("^[1-9]"), timeout=60_000)


def _resume_both(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/echo?epochs=1000")
    wait_for_state(page, "paused")
    expect(page.get_by_text("The server was restarted at step")).to_be_visible()
    stopped_at = step_now(page)
    assert stopped_at > 0
    button(page, "Resume").click()
    wait_for_state(page, "running")
    wait_for_draws(page, 2)
    assert step_now(page) > stopped_at
    button(page, "Stop").click()
    wait_for_state(page, "stopped")
    page.get_by_role("tab", name="Sweep").click()
    strip = page.locator(".unrolled-status").last
    expect(strip).to_have_attribute("data-state", "paused", timeout=30_000)
    expect(strip).to_contain_text("The server was restarted")
    page.get_by_role("button", name="Resume").last.click()
    expect(strip).to_have_attribute("data-state", "running", timeout=30_000)
    page.get_by_role("button", name="Stop").last.click()
    expect(strip).to_have_attribute("data-state", "stopped", timeout=30_000)


def test_runs_are_compared_and_their_files_saved(page: Page, server: Server, tmp_path: Path) -> None:
    for query in ("epochs=1&series_length=3000", "epochs=1&series_length=3000&echo_step=1"):
        open_echo(page, server, query)
        button(page, "Start").click()
        wait_for_state(page, "finished")
    page.goto(f"{server.url}/runs")
    table = page.locator("[data-testid=stDataFrame]").first
    table.wait_for(timeout=30_000)
    box = table.bounding_box()
    assert box is not None
    for row in range(2):
        page.mouse.click(box["x"] + 16, box["y"] + 52 + 35 * row)
        wanted = "Delete this run" if row == 0 else "Delete these 2 runs"
        expect(page.get_by_role("button", name=wanted)).to_be_visible()
    page.wait_for_function("() => document.querySelector('[data-name=runs]')?.data?.length === 2")
    expect(page.locator("[data-name=runs]")).to_have_attribute("aria-label", re.compile("The losses in nats of 2 runs"))
    saved = {}
    for name in ("Save as SVG", "CSV", "JSON", "TensorBoard", "Keras script"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        saved[name] = tmp_path / name
        download.value.save_as(saved[name])
    figure = saved["Save as SVG"].read_text()
    assert "<svg" in figure and "training step" in figure and "loss (nats)" in figure and "Echo: echo_step 1" in figure
    assert saved["CSV"].read_text().startswith("step,loss\n0,")
    assert '"demo": "echo"' in saved["JSON"].read_text()
    assert b"brain.Event:2" in saved["TensorBoard"].read_bytes()
    compile(saved["Keras script"].read_text(), "script", "exec")
    page.get_by_role("button", name="Delete these 2 runs").click()
    expect(page.get_by_text("2 runs were deleted")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("2 runs were deleted")).to_have_count(0)


def test_the_binary_rule_is_found_and_played_on_a_phone(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.goto(f"{server.url}/binary-rule")
    expect(button(page, "Start")).to_be_enabled(timeout=30_000)
    button(page, "Start").tap()
    wait_for_state(page, "finished")
    for name in ("loss", "accuracy", "belief_history", "strip", "belief"):
        chart = page.locator(f"[data-name={name}]")
        chart.scroll_into_view_if_needed()
        expect(chart).to_have_attribute("data-drawn", re.compile(".+"))
    page.get_by_role("button", name="1", exact=True).tap()
    expect(page.get_by_text("of 1").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
