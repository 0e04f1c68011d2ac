import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { SLOW, startSite } from './support/site.mjs';

const executablePath = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
const skip = existsSync(executablePath) ? false : `there is no ${executablePath}`;

// Playwright needs a Firefox of its own; puppeteer drives the distribution's by WebDriver BiDi.
describe('the page in Firefox', { skip }, () => {
  let site, browser;
  before(async () => {
    site = await startSite();
    browser = await puppeteer.launch({ browser: 'firefox', executablePath, args: ['--headless'] });
  });
  after(async () => {
    await browser.close();
    await site.close();
  });

  async function open(panel) {
    const page = await browser.newPage();
    page.setDefaultTimeout(SLOW);
    await page.goto(`${site.address}#/${panel}`);
    await page.waitForSelector(
      'article.panel:not([hidden])[data-state="ready"][aria-busy="false"] .output:not([hidden])',
    );
    return page;
  }

  test('entities are found', async () => {
    const page = await open('entities');
    const found = await page.$$eval('mark.entity', (all) =>
      all.map((one) => [one.firstChild.textContent, one.dataset.label]),
    );
    assert.deepEqual(found, [
      ['Maria', 'GIVEN_NAME'],
      ['Lopez', 'SURNAME'],
      ['482', 'BUILDING_NUMBER'],
      ['Cedar Street', 'STREET_NAME'],
      ['Portland', 'CITY'],
      ['503-555-0147', 'PHONE'],
    ]);
    await page.close();
  });

  test('search ranks by meaning', async () => {
    const page = await open('search');
    const best = await page.$eval('[data-panel="search"] .bar.best .bar-label', (label) => label.textContent);
    assert.equal(best, 'Heavy snow closed the mountain pass overnight.');
    await page.close();
  });
});
